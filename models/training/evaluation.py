"""
How right the demo models' transcripts are, through the whole pipeline: words, times, speakers.

    python -m models.training.evaluation [--save bench/results]

Sentences and voices are held out; dialogs are of voices the diarization was neither trained nor
tuned on. Every set comes as it is, and through mp3 and opus. Status 1 if a bar does not hold.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bench.measures import Report
from models.training.demo_aligner.measure import boundary_errors, median_and_p90
from models.training.demo_diarization.dialogs import FLITE, UNSEEN, Dialog, draw_dialogs
from models.training.demo_diarization.measure import FLITE_SEED, TEST_SEED, score
from models.training.demo_model.corpus import read_held_out, render, through_codec
from models.training.demo_model.scores import Errors, normal, padded
from models.training.demo_model.voices import Utterance
from shared.request import TranscriptionRequest
from shared.settings import CHECKOUT
from shared.transcript import Transcript
from worker.audio.source import AudioSource
from worker.pipeline import transcribe
from worker.processes.local import LocalModels
from worker.settings import WorkerSettings, limit_threads, quieten_libraries

LEAD_S = 0.25
MEDIAN_BAR_S, P90_BAR_S = 0.060, 0.200
DER_BAR, SPEAKER_BAR = 0.08, 0.95
NEAR_CARD = 0.01
"""How far text may be off what the model's card says."""

N_DIALOGS = 8
_CARD_ROWS = {"en": "English, word error rate", "zh": "Mandarin, character error"}


@dataclass(frozen=True)
class Codec:
    """What audio comes through, on its way."""

    name: str
    arguments: tuple[str, str, int] | None = None

    def __call__(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Encode and decode (n_samples,) int16."""
        return through_codec(samples, *self.arguments) if self.arguments else samples


CODECS = (
    Codec("as it is"),
    Codec("mp3, 64 kbit/s", ("mp3", "libmp3lame", 64_000)),
    Codec("opus, 24 kbit/s", ("ogg", "libopus", 24_000)),
)


class Evaluation:
    """The models, and a report that knows whether every bar holds."""

    def __init__(self) -> None:
        settings = WorkerSettings(default_model="demo", downloads=False, device="cpu")
        self._models = LocalModels(settings)
        self.report = Report()
        self.holds = True

    def bar(self, name: str, value: str, *, holds: bool, bar: str) -> None:
        """Add a line that has a bar."""
        self.holds &= holds
        self.report.add(name, f"{value} (bar {bar}: {'holds' if holds else 'DOES NOT HOLD'})")

    def run(self, samples: NDArray[np.int16], **fields: object) -> Transcript:
        """What the pipeline makes of (n_samples,) int16."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "audio.pcm"
            samples.astype("<i2").tofile(path)
            request = TranscriptionRequest.model_validate(fields)
            audio = AudioSource(path, len(samples))
            return transcribe(audio, request, self._models, lambda *_: None, model="demo")

    def measure_text(self, said: Sequence[Utterance], codec: Codec) -> None:
        """Errors in the text, and how far off words begin."""
        found = [
            self.run(codec((padded(u) * 32767).astype(np.int16)), word_timestamps=True)
            for u in said
        ]
        card = card_rates()
        for language, unit in (("en", "words wrong"), ("zh", "characters wrong")):
            errors = Errors()
            for utterance, transcript in zip(said, found, strict=True):
                if utterance.language == language:
                    errors.add(utterance.text, transcript.text, language)
            self.bar(
                f"{unit}, {language}, {codec.name}",
                f"{errors.rate:.1%} of {errors.n_units}",
                holds=errors.rate <= card[language] + NEAR_CARD,
                bar=f"{card[language]:.1%} of the card + 1 point",
            )
        pairs = [(u, t.segments) for u, t in zip(said, found, strict=True) if u.words]
        for language in ("en", "zh"):
            told = [(u, s) for u, s in pairs if u.language == language]
            off = boundary_errors([u for u, _ in told], [s for _, s in told], lead_s=LEAD_S)
            median, p90 = median_and_p90(off)
            value = f"median {median * 1000:.0f} ms, 90 % within {p90 * 1000:.0f} ms"
            name = f"beginnings of {len(off)} words, {language}, {codec.name}"
            if language == "zh":
                self.report.add(f"{name}, by Whisper alone", value)
                continue
            bar = f"{MEDIAN_BAR_S * 1000:.0f} and {P90_BAR_S * 1000:.0f} ms"
            holds = median <= MEDIAN_BAR_S and p90 <= P90_BAR_S
            self.bar(f"{name}, aligned", value, holds=holds, bar=bar)

    def measure_speakers(self, dialogs: Sequence[Dialog], codec: Codec) -> None:
        """Diarization errors, and words with the right speaker."""
        heard = [replace(d, waveform=codec(d.waveform)) for d in dialogs]
        found = [
            self.run(d.waveform, language="en", diarize=True, word_timestamps=True) for d in heard
        ]
        errors = score((d, t.turns or ()) for d, t in zip(dialogs, found, strict=True))
        name = f"{len(dialogs)} dialogs of unseen voices, {codec.name}"
        self.bar(f"{name}", str(errors), holds=errors.rate <= DER_BAR, bar=f"{DER_BAR:.0%}")
        counts = [right_speakers(d, t) for d, t in zip(dialogs, found, strict=True)]
        right, all_ = (sum(part) for part in zip(*counts, strict=True))
        self.bar(
            f"words with the right speaker, {codec.name}",
            f"{right / all_:.1%} of {all_}",
            holds=right / all_ >= SPEAKER_BAR,
            bar=f"{SPEAKER_BAR:.0%}",
        )

    def measure_strangers(self, dialogs: Sequence[Dialog]) -> None:
        """Diarization errors with another synthesizer's voices; no bar."""
        found = [self.run(d.waveform, language="en", diarize=True, align=False) for d in dialogs]
        errors = score((d, t.turns or ()) for d, t in zip(dialogs, found, strict=True))
        self.report.add(f"{len(dialogs)} dialogs of another synthesizer's voices", str(errors))


def card_rates() -> dict[str, float]:
    """The error rates that the model's card tells."""
    card = (CHECKOUT / "models" / "demo" / "README.md").read_text(encoding="utf-8")
    rates = {}
    for language, row in _CARD_ROWS.items():
        found = re.search(rf"\| {re.escape(row)} \| ([\d.]+)% \|", card)
        assert found, row
        rates[language] = float(found.group(1)) / 100
    return rates


def right_speakers(dialog: Dialog, transcript: Transcript) -> tuple[int, int]:
    """How many recognised words have the right speaker, of how many that were recognised."""
    said = [(normal(word.word), word.speaker) for word in dialog.words]
    heard = [
        (normal(word.word), word.speaker) for s in transcript.segments for word in s.words or ()
    ]
    matcher = SequenceMatcher(None, [w for w, _ in said], [w for w, _ in heard], autojunk=False)
    pairs = [
        (said[a + i][1], heard[b + i][1])
        for a, b, n in matcher.get_matching_blocks()
        for i in range(n)
    ]
    true = sorted({t for t, _ in pairs})
    labels = sorted({str(f) for _, f in pairs})
    table = np.zeros((len(true), len(labels)), int)
    for speaker, label in pairs:
        table[true.index(speaker), labels.index(str(label))] += 1
    rows, columns = linear_sum_assignment(-table)
    return int(table[rows, columns].sum()), len(pairs)


def main() -> int:
    """Measure, print the table, and keep it if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m models.training.evaluation", description=__doc__
    )
    parser.add_argument("--save", type=Path, help="directory for a dated copy of the table")
    options = parser.parse_args()
    quieten_libraries()
    limit_threads(1)
    evaluation = Evaluation()
    said = render(read_held_out(), held_out=True, n_processes=2)
    dialogs = draw_dialogs(N_DIALOGS, TEST_SEED, voices=UNSEEN)
    for codec in CODECS:
        evaluation.measure_text(said, codec)
        evaluation.measure_speakers(dialogs, codec)
    evaluation.measure_strangers(draw_dialogs(4, FLITE_SEED, voices=FLITE))
    evaluation.report.keep("demo-eval", "Evaluation of the demo models", options.save)
    return 0 if evaluation.holds else 1


if __name__ == "__main__":
    sys.exit(main())
