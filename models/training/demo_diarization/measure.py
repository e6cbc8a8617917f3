"""
Measure a diarization pipeline on dialogs it was not trained on.

    python -m models.training.demo_diarization.measure [--model NAME] [--dialogs 8] [--seed 2]

Diarization error rates, with no collar and overlap scored: of unseen espeak-ng voices, as they are
and through lossy codecs, of voices it was tuned on, and of another synthesizer's.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from models.training.demo_diarization.dialogs import (
    DEVELOPMENT,
    FLITE,
    UNSEEN,
    Dialog,
    draw_dialogs,
)
from models.training.demo_model.corpus import through_codec
from shared.settings import CHECKOUT
from shared.transcript import Segment, SpeakerTurn, Word
from worker.audio.source import AudioSource
from worker.diarization import Diarization, DiarizationOptions, Diarizer, open_diarizer
from worker.diarization.assignment import assign_speakers
from worker.models.store import ModelStore
from worker.settings import limit_threads, quieten_libraries

TARGET = 0.08
"""Error rate the demo pipeline has to keep below on unseen voices."""

TEST_SEED, DEVELOPMENT_SEED, FLITE_SEED = 2, 1, 3
CODECS = (("mp3", "libmp3lame", 32_000), ("ogg", "libopus", 24_000))


@dataclass(frozen=True)
class DiarizationErrors:
    """
    Seconds that went wrong, of all dialogs together.

    Attributes:
        speech: Seconds of speech there are; two who talk at once count twice.
        n_speakers: For each dialog, how many speak and how many were found.
    """

    speech: float = 0.0
    missed: float = 0.0
    false_alarm: float = 0.0
    confused: float = 0.0
    n_speakers: tuple[tuple[int, int], ...] = field(default=())

    @property
    def rate(self) -> float:
        """Diarization error rate, a fraction."""
        return (self.missed + self.false_alarm + self.confused) / max(self.speech, 1e-9)

    def __str__(self) -> str:
        wrong = [100 * s / self.speech for s in (self.missed, self.false_alarm, self.confused)]
        counts = " ".join(f"{found}/{there}" for there, found in self.n_speakers)
        return (
            f"DER {100 * self.rate:.1f} % (missed {wrong[0]:.1f}, false {wrong[1]:.1f}, confused "
            f"{wrong[2]:.1f}); speakers found: {counts}"
        )


def score(
    pairs: Iterable[tuple[Dialog, Sequence[SpeakerTurn]]],
) -> DiarizationErrors:
    """Compare what was found in dialogs with the truth: no collar, overlap scored."""
    from pyannote.core import Annotation, Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate

    def annotation(turns: Iterable[SpeakerTurn]) -> Annotation:
        found = Annotation()
        for i, turn in enumerate(turns):
            found[Segment(turn.start, turn.end), i] = turn.speaker
        return found

    metric, counts = DiarizationErrorRate(collar=0.0, skip_overlap=False), []
    for dialog, turns in pairs:
        whole = Timeline([Segment(0, dialog.duration_s)])
        metric(annotation(dialog.turns), annotation(turns), uem=whole)
        counts.append((len(dialog.speakers), len({turn.speaker for turn in turns})))
    total = metric[:]
    return DiarizationErrors(
        float(total["total"]),
        float(total["missed detection"]),
        float(total["false alarm"]),
        float(total["confusion"]),
        tuple(counts),
    )


def write_source(dialog: Dialog, path: Path) -> AudioSource:
    """Write a dialog as the pipeline reads audio."""
    path.write_bytes(dialog.waveform.astype("<i2").tobytes())
    return AudioSource(path, len(dialog.waveform))


def diarization_errors(
    diarizer: Diarizer,
    dialogs: Iterable[Dialog],
    options: Callable[[Dialog], DiarizationOptions] = lambda dialog: DiarizationOptions(),
) -> DiarizationErrors:
    """Diarize dialogs and count what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dialog.pcm"
        return score(
            (d, diarizer.find_turns(write_source(d, path), options(d)).turns) for d in dialogs
        )


def encoded(dialogs: Iterable[Dialog], container: str, codec: str, bit_rate: int) -> list[Dialog]:
    """The same dialogs as they come out of a lossy codec."""
    return [
        replace(d, waveform=through_codec(d.waveform, container, codec, bit_rate)) for d in dialogs
    ]


def name_speakers(dialog: Dialog, turns: Sequence[SpeakerTurn]) -> dict[str, str]:
    """Which voice each found speaker is, one to one, by the time they share."""
    from scipy.optimize import linear_sum_assignment

    found = sorted({turn.speaker for turn in turns})
    voices = sorted(dialog.speakers)
    shared = np.zeros((len(found), len(voices)))
    for turn in turns:
        for true in dialog.turns:
            both = min(turn.end, true.end) - max(turn.start, true.start)
            shared[found.index(turn.speaker), voices.index(true.speaker)] += max(0.0, both)
    rows, columns = linear_sum_assignment(-shared)
    return {found[i]: voices[j] for i, j in zip(rows, columns, strict=True)}


def words_with_speakers(dialog: Dialog, found: Diarization) -> tuple[int, int]:
    """How many words of a dialog, at their true times, get the right speaker; and of how many."""
    names = name_speakers(dialog, found.turns)
    said = Segment(
        id=0,
        seek=0,
        start=0.0,
        end=dialog.duration_s,
        text=dialog.text,
        tokens=(),
        temperature=0.0,
        avg_logprob=0.0,
        compression_ratio=1.0,
        no_speech_prob=0.0,
        words=tuple(
            Word(word=w.word, start=w.start, end=w.end, probability=1) for w in dialog.words
        ),
    )
    parts = assign_speakers([said], found.exclusive_turns)
    speakers = [word.speaker for part in parts for word in part.words or ()]
    right = [names.get(s or "") == w.speaker for s, w in zip(speakers, dialog.words, strict=True)]
    return sum(right), len(right)


def main() -> None:
    """Print a line for each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--model", default="demo-diarization")
    parser.add_argument("--models-dir", type=Path, default=CHECKOUT / "models")
    parser.add_argument("--dialogs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=TEST_SEED)
    options = parser.parse_args()
    quieten_libraries()
    limit_threads(1)
    warnings.simplefilter("ignore")
    diarizer = open_diarizer(options.model, ModelStore(options.models_dir), device="cpu")
    unseen = draw_dialogs(options.dialogs, options.seed, voices=UNSEEN)
    sets = {"unseen voices": unseen}
    for container, codec, bit_rate in CODECS:
        sets[f"unseen voices, {container} at {bit_rate // 1000} kbit/s"] = encoded(
            unseen, container, codec, bit_rate
        )
    sets["voices it was tuned on"] = draw_dialogs(8, DEVELOPMENT_SEED, voices=DEVELOPMENT)
    sets["flite's voices"] = draw_dialogs(4, FLITE_SEED, voices=FLITE)
    for name, dialogs in sets.items():
        print(f"{name}: {diarization_errors(diarizer, dialogs)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dialog.pcm"
        right = [
            words_with_speakers(d, diarizer.find_turns(write_source(d, path), DiarizationOptions()))
            for d in unseen
        ]
    share = sum(n for n, _ in right) / sum(n for _, n in right)
    print(f"unseen voices, words with the right speaker: {100 * share:.1f} %", flush=True)
    counted = diarization_errors(
        diarizer, unseen, lambda d: DiarizationOptions(num_speakers=len(d.speakers))
    )
    print(f"unseen voices, told how many: {counted}", flush=True)


if __name__ == "__main__":
    main()
