"""Scores of the demo model: what counts as an error, the bars, and the table they are shown in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import jiwer
import numpy as np
from numpy.typing import NDArray

from models.training.demo_model.voices import SAMPLE_RATE_HZ, Utterance
from shared.transcript import Segment
from worker.engines.base import Chunk, DecodeOptions, Engine

GATE = {"en": 0.20, "zh": 0.10}
"""Bar of the model card: word error rate in English, character error rate in Mandarin."""

TARGET = {"en": 0.08, "zh": 0.05}
_LEAD = SAMPLE_RATE_HZ // 4


def normal(text: str) -> str:
    """
    Text as it is compared.

    >>> normal("It is nine o'clock, Bob.")
    "it is nine o'clock bob"
    """
    return re.sub(r"[^\w\s']", "", text.lower()).strip()


@dataclass
class Errors:
    """Edits and reference length, pooled over clips."""

    n_edits: int = 0
    n_units: int = 0

    def add(self, reference: str, heard: str, language: str) -> None:
        """Count one clip: words in English, characters in Mandarin."""
        said, got = normal(reference), normal(heard)
        if language == "zh":
            said, got = (" ".join(text.replace(" ", "")) for text in (said, got))
        found = jiwer.process_words(said, got)
        self.n_edits += found.substitutions + found.deletions + found.insertions
        self.n_units += len(said.split())

    @property
    def rate(self) -> float:
        """Edits per word or character."""
        return self.n_edits / max(1, self.n_units)


@dataclass
class Table:
    """The lines of the report."""

    rows: list[tuple[str, str, str, str]] = field(default_factory=list)
    gate_holds: bool = True
    target_holds: bool = True

    def rate(
        self, name: str, value: float, *, gate: float | None = None, target: float | None = None
    ) -> None:
        """A share for which less is better."""
        self._add(name, value, gate, target, lambda v, bar: v <= bar, "≤")

    def share(self, name: str, value: float, *, target: float | None = None) -> None:
        """A share for which more is better."""
        self._add(name, value, None, target, lambda v, bar: v >= bar, "≥")

    def _add(
        self,
        name: str,
        value: float,
        gate: float | None,
        target: float | None,
        holds: Callable[[float, float], bool],
        sign: str,
    ) -> None:
        self.gate_holds &= gate is None or holds(value, gate)
        self.target_holds &= target is None or holds(value, target)
        bars = [
            "" if bar is None else f"{sign} {bar:.0%} {'yes' if holds(value, bar) else 'NO'}"
            for bar in (gate, target)
        ]
        self.rows.append((name, f"{value:.1%}", *bars))

    def text(self) -> str:
        """The table as Markdown."""
        lines = ["| measured on held-out voices and sentences | value | gate | target |"]
        lines.append("|---|--:|---|---|")
        lines += [f"| {' | '.join(row)} |" for row in self.rows]
        return "\n".join(lines)


def padded(said: Utterance) -> NDArray[np.float32]:
    """An utterance with a quarter of a second of silence on either side."""
    return np.pad(said.waveform.astype(np.float32) / 32768, _LEAD)


def text_of(segments: Sequence[Segment]) -> str:
    """The text of one decoded chunk."""
    return "".join(segment.text for segment in segments)


def decode(
    engine: Engine, waveforms: Sequence[NDArray[np.float32]], options: Iterable[DecodeOptions]
) -> list[Sequence[Segment]]:
    """Decode clips, eight at a time."""
    chunks = [Chunk(w, o) for w, o in zip(waveforms, options, strict=True)]
    found: list[Sequence[Segment]] = []
    for i in range(0, len(chunks), 8):
        found += [decoding.segments for decoding in engine.transcribe(chunks[i : i + 8])]
    return found


def error_rates(
    utterances: Sequence[Utterance], found: Sequence[Sequence[Segment]]
) -> dict[str, float]:
    """Pooled error rate of each language."""
    pooled = {"en": Errors(), "zh": Errors()}
    for said, segments in zip(utterances, found, strict=True):
        pooled[said.language].add(said.text, text_of(segments), said.language)
    return {language: errors.rate for language, errors in pooled.items()}
