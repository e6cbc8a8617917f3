"""What an engine is: chunks of sound in, segments out. It knows neither jobs nor files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from shared.transcript import Segment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BEAM_SIZE = 5
BEST_OF = 5
"""Samples drawn at a temperature above 0; the most likely is kept."""


@dataclass(frozen=True)
class DecodeOptions:
    """How a chunk is to be decoded. `language` is a Whisper code, already detected."""

    language: str
    task: str = "transcribe"
    prompt: str | None = None
    temperature: float = 0.0
    word_timestamps: bool = False


@dataclass(frozen=True)
class Chunk:
    """
    At most 30 s of sound to be decoded.

    Attributes:
        waveform: (n_samples,) float32, mono, 16 kHz.
    """

    waveform: NDArray[np.float32]
    options: DecodeOptions

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.waveform) / 16_000


class Guess(NamedTuple):
    """A detected language and how sure the model is, 0 to 1."""

    language: str
    probability: float


class Engine(Protocol):
    """One loaded model."""

    @property
    def is_multilingual(self) -> bool:
        """Whether the model knows more than English."""
        ...

    def detect_language(self, waveform: NDArray[np.float32]) -> Guess:
        """Guess the language of (n_samples,) float32 from its first 30 s."""
        ...

    def transcribe(self, chunks: Sequence[Chunk]) -> list[list[Segment]]:
        """
        Decode chunks together.

        Returns:
            Per chunk its segments, with times from the chunk's start; none where nobody speaks.
        """
        ...
