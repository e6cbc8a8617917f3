"""What must hold on the long files: Longhand compared with the best setting of faster-whisper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.evaluation.scoring import Score
from bench.evaluation.systems import OURS, PEERS, WITH_VAD

WER_RATIO = 1.0
MEDIAN_START_S = 0.23


@dataclass(frozen=True)
class Bar:
    """One thing that must hold; `holds` is None if nothing was measured that shows it."""

    model: str
    name: str
    value: str
    limit: str
    holds: bool | None


def best_peer(scores: Mapping[str, Score]) -> str | None:
    """The setting of faster-whisper with the fewest errors."""
    measured = [name for name in PEERS if name in scores and scores[name].by_utterance]
    return min(measured, key=lambda name: scores[name].counts.rate, default=None)


def judge(model: str, scores: Mapping[str, Score], n_noise_words: int | None) -> list[Bar]:
    """
    Every bar of one model.

    Args:
        scores: Of the long files, by system.
        n_noise_words: The words that Longhand wrote where nobody speaks.
    """
    peer = best_peer(scores)
    ours = scores.get(OURS)
    bars = []
    if ours is not None and peer is not None:
        bars += _against(model, ours, scores[peer])
    elif ours is not None:
        bars.append(Bar(model, "WER / its WER", f"{ours.counts.rate:.1%}", "not measured", None))
    if ours is not None:
        median = quantile(ours.times.starts, 0.5)
        limit = f"≤ {MEDIAN_START_S} s"
        held = median <= MEDIAN_START_S
        bars.append(Bar(model, "segment starts, median", f"{median:.2f} s", limit, held))
        with_vad = scores.get(WITH_VAD)
        limit = f"≤ {with_vad.cpu_s:.1f} s, its vad setting's" if with_vad else "not measured"
        held = ours.cpu_s <= with_vad.cpu_s if with_vad else None
        bars.append(Bar(model, "CPU seconds", f"{ours.cpu_s:.1f} s", limit, held))
    if n_noise_words is not None:
        held = n_noise_words == 0
        bars.append(Bar(model, "words out of noise and silence", str(n_noise_words), "0", held))
    return bars


def _against(model: str, ours: Score, theirs: Score) -> list[Bar]:
    ratio = ours.counts.rate / max(theirs.counts.rate, 1e-9)
    lost, their_lost = ours.counts.lost, theirs.counts.lost
    p90, their_p90 = (quantile(score.times.starts, 0.9) for score in (ours, theirs))
    return [
        Bar(model, "WER / its WER", f"{ratio:.2f}", f"≤ {WER_RATIO:.1f}", ratio <= WER_RATIO),
        Bar(model, "words lost", str(lost), f"≤ {their_lost}", lost <= their_lost),
        # If no segment of the other begins correctly, there is nothing to compare with.
        Bar(
            model,
            "segment starts, p90",
            f"{p90:.2f} s",
            f"≤ {their_p90:.2f} s",
            p90 <= their_p90 or bool(np.isnan(their_p90) and not np.isnan(p90)),
        ),
    ]


def quantile(values: list[float], share: float) -> float:
    """A quantile; NaN without values, which is within no bar."""
    return float(np.quantile(values, share)) if values else float("nan")
