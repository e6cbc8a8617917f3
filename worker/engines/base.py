"""What an engine is: chunks of sound in, segments out. It knows neither jobs nor files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

from shared.transcript import Segment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class DecodeOptions:
    """
    How a chunk is to be decoded; each field as in `TranscriptionRequest`.

    Attributes:
        language: A Whisper code; None to detect it in each chunk.
        prompt: What came before: the caller's prompt, the text of earlier chunks, or both.
        temperature: Of this one try; tries at higher temperatures are new chunks.
    """

    language: str | None
    task: str = "transcribe"
    prompt: str | None = None
    hotwords: str | None = None
    temperature: float = 0.0
    beam_size: int = 5
    best_of: int = 5
    patience: float = 1.0
    length_penalty: float = 1.0
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    suppress_tokens: tuple[int, ...] = (-1,)
    suppress_numerals: bool = False
    compression_ratio_threshold: float | None = 2.4
    logprob_threshold: float | None = -1.0
    no_speech_threshold: float | None = 0.6
    hallucination_silence_threshold: float | None = None
    word_timestamps: bool = False

    @property
    def shared(self) -> DecodeOptions:
        """What must be equal in all rows of a batch: all but language and prompt."""
        return replace(self, language=None, prompt=None)


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


@dataclass(frozen=True)
class Decoding:
    """
    What a model wrote for one chunk.

    Attributes:
        segments: With times from the chunk's start; none where nobody speaks.
        language: The one asked for, or detected in this chunk.
        is_doubtful: The text failed a threshold: another temperature is worth a try.
    """

    segments: tuple[Segment, ...]
    language: str
    is_doubtful: bool = False


class Engine(Protocol):
    """One loaded model."""

    ignores: ClassVar[frozenset[str]]
    """Fields of `DecodeOptions` that this engine cannot honour."""

    @property
    def is_multilingual(self) -> bool:
        """Whether the model knows more than English."""
        ...

    def detect_language(self, waveform: NDArray[np.float32]) -> Guess:
        """Guess the language of (n_samples,) float32 from its first 30 s."""
        ...

    def transcribe(self, chunks: Sequence[Chunk]) -> list[Decoding]:
        """
        Decode chunks together, in one pass where `options.shared` are equal.

        Raises:
            GpuOutOfMemory: They do not fit beside the model; fewer may.
        """
        ...
