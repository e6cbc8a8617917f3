"""
Measure an aligner against the times at which a synthesiser really began each word.

    python -m models.training.demo_aligner.measure [--aligner demo-aligner-en] [--card]
    python -m models.training.demo_aligner.measure --calibrate  # the offset, by voices of training

Voices and sentences are held out as the demo model's are. Each sentence is given
with its true text, the whole of it as one segment whose ends are off by up to
0.2 s, as Whisper's are. `--calibrate` prints `frame_offset_s` for `longhand.json`;
it listens to other voices and sentences than those that are measured.
"""

from __future__ import annotations

import argparse
import datetime
import random
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.training.demo_model.clips import draw_utterances
from models.training.demo_model.corpus import CODECS, draw_training, through_codec
from models.training.demo_model.voices import SAMPLE_RATE_HZ, Espeak, Utterance, say
from shared.settings import CHECKOUT
from shared.transcript import Segment
from worker.alignment import Aligner, AlignmentOptions, open_aligner
from worker.audio.source import AudioSource
from worker.models.store import ModelStore
from worker.settings import quieten_libraries

MEDIAN_BAR_S, P90_BAR_S = 0.060, 0.200
LEAD_S = 0.5
"""Silence before and after each sentence."""

_TOKEN = re.compile(r"[a-z0-9']+|[\u4e00-\u9fff]")
_MEASURED = "## Measured"


def boundary_errors(
    said: Sequence[Utterance], aligned: Sequence[Sequence[Segment]], *, lead_s: float = 0.0
) -> list[float]:
    """
    How late each word is said to begin, in seconds; negative is early.

    Words are matched by text, so that a wrong one is left out and not measured
    against another; so are words whose beginning the synthesiser does not tell.

    Args:
        aligned: The segments of each utterance, with words.
        lead_s: Where each utterance begins in the audio that was aligned.
    """
    errors = []
    for utterance, segments in zip(said, aligned, strict=True):
        begins = dict(utterance.words)
        true = [(m.group(), begins.get(m.start())) for m in _TOKEN.finditer(utterance.text.lower())]
        heard = [
            (token, word.start if i == 0 else None)
            for segment in segments
            for word in segment.words or ()
            for i, token in enumerate(_TOKEN.findall(word.word.lower()))
        ]
        matcher = SequenceMatcher(None, [t for t, _ in true], [t for t, _ in heard], autojunk=False)
        for a, b, n in matcher.get_matching_blocks():
            for (_, begin), (_, start) in zip(true[a : a + n], heard[b : b + n], strict=True):
                if begin is not None and start is not None:
                    errors.append(start - begin - lead_s)
    return errors


def median_and_p90(errors: Sequence[float]) -> tuple[float, float]:
    """How far off words begin, early or late: the median and the 90th percentile, in seconds."""
    sizes = np.abs(errors)
    return float(np.median(sizes)), float(np.quantile(sizes, 0.9))


def with_text(utterance: Utterance, draw: random.Random) -> Segment:
    """One segment with the true text, whose ends are off by up to 0.2 s; no words."""
    start, end = LEAD_S, LEAD_S + len(utterance.waveform) / SAMPLE_RATE_HZ
    return Segment(
        id=0,
        seek=0,
        start=max(0.0, start + draw.uniform(-0.2, 0.2)),
        end=end + draw.uniform(-0.2, 0.2),
        text=f" {utterance.text}",
        tokens=(),
        temperature=0.0,
        avg_logprob=0.0,
        compression_ratio=1.0,
        no_speech_prob=0.0,
    )


def align_all(
    aligner: Aligner,
    said: Sequence[Utterance],
    through: Callable[[NDArray[np.int16]], NDArray[np.int16]] = lambda samples: samples,
) -> list[list[Segment]]:
    """Align sentences with their true text, each in its own recording."""
    draw, lead = random.Random(5), np.zeros(int(LEAD_S * SAMPLE_RATE_HZ), np.int16)
    aligned = []
    with tempfile.TemporaryDirectory() as folder:
        for utterance in said:
            samples = through(np.concatenate([lead, utterance.waveform, lead]))
            path = Path(folder) / "audio.pcm"
            path.write_bytes(samples.astype("<i2").tobytes())
            audio = AudioSource(path, len(samples))
            segments = [with_text(utterance, draw)]
            aligned.append(aligner.align(audio, segments, AlignmentOptions(utterance.language)))
    return aligned


def calibrate(aligner: Aligner) -> float:
    """How late words come out in the median of voices and sentences that are not held out."""
    draw, espeak = random.Random(3), Espeak()
    sentences = [s for s in draw_training(400) if s.language == "en"][:120]
    said = [say(espeak, s.text, s.language, draw, held_out=False) for s in sentences]
    told = [utterance for utterance in said if utterance.words]
    return float(np.median(boundary_errors(told, align_all(aligner, told), lead_s=LEAD_S)))


def measure(aligner: Aligner, n: int, seed: int) -> tuple[str, bool]:
    """A table in Markdown, and whether the bar holds in every row."""
    said = [u for u in draw_utterances(n, seed, "en") if u.words]
    rows, holds = ["| speech | words | median | 90 % within |", "|---|--:|--:|--:|"], True

    def add(label: str, errors: Sequence[float]) -> None:
        nonlocal holds
        median, p90 = median_and_p90(errors)
        holds = holds and median <= MEDIAN_BAR_S and p90 <= P90_BAR_S
        rows.append(f"| {label} | {len(errors)} | {median * 1000:.0f} ms | {p90 * 1000:.0f} ms |")

    aligned = align_all(aligner, said)
    add(f"{len(said)} sentences", boundary_errors(said, aligned, lead_s=LEAD_S))
    for variant in sorted({u.voice.partition("+")[2] for u in said}):
        pairs = [(u, s) for u, s in zip(said, aligned, strict=True) if u.voice.endswith(variant)]
        add(f"of them {variant}", boundary_errors(*zip(*pairs, strict=True), lead_s=LEAD_S))
    for (container, codec), rate in zip(CODECS, (64_000, 24_000), strict=True):
        coded = align_all(
            aligner, said, lambda x, c=container, k=codec, r=rate: through_codec(x, c, k, r)
        )
        add(f"through {codec}, {rate // 1000} kbit/s", boundary_errors(said, coded, lead_s=LEAD_S))
    return "\n".join(rows), holds


def main() -> int:
    """Print the table; status 1 if the bar does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--aligner", default="demo-aligner-en")
    parser.add_argument("--utterances", type=int, default=120)
    parser.add_argument("--seed", type=int, default=41)
    parser.add_argument("--calibrate", action="store_true", help="print frame_offset_s instead")
    parser.add_argument("--card", action="store_true", help="write the table into the card")
    arguments = parser.parse_args()
    quieten_libraries()
    models = CHECKOUT / "models"
    aligner = open_aligner(arguments.aligner, ModelStore(models), device="cpu")
    if arguments.calibrate:
        print(f"words begin {calibrate(aligner) * 1000:+.1f} ms late with the offset there is")
        return 0
    table, holds = measure(aligner, arguments.utterances, arguments.seed)
    bar = f"median {MEDIAN_BAR_S * 1000:.0f} ms, 90 % within {P90_BAR_S * 1000:.0f} ms"
    print(f"{table}\n\nbar ({bar}): {'holds' if holds else 'DOES NOT HOLD'}")
    if arguments.card:
        card = models / arguments.aligner / "README.md"
        kept = card.read_text(encoding="utf-8").partition(_MEASURED)[0]
        day = datetime.date.today().isoformat()
        command = "`python -m models.training.demo_aligner.measure`"
        text = f"{kept}{_MEASURED}\n\n{day}, {command}, bar {bar}:\n\n{table}\n"
        card.write_text(text, encoding="utf-8")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
