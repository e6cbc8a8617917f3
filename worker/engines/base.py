"""What an engine is: chunks of sound in, segments out. It knows neither jobs nor files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from shared.transcript import Segment
from worker.audio.constants import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class DecodeOptions:
    """
    How a chunk is to be decoded; each field as in `TranscriptionRequest`.

    Attributes:
        language: A Whisper code; None to detect it in this chunk.
        prompt: The caller's own text, as if it came before the audio.
        context: Tokens of what was said just before this chunk, timestamps included.
        temperature: Of this one try; tries at higher temperatures are new chunks.
    """

    language: str | None
    task: str = "transcribe"
    prompt: str | None = None
    context: tuple[int, ...] = ()
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
        """What must be equal in all rows of a batch: all but language, prompt and context."""
        return replace(self, language=None, prompt=None, context=())


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
        return len(self.waveform) / SAMPLE_RATE_HZ


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
        heard_s: Seconds of the chunk that the text covers. Whisper ends a text early when a
            sentence does not fit into the chunk: what follows is to be decoded again.
        language_probability: How sure the detection is, 0 to 1; 1 for a language asked for.
        avg_logprob: Mean log probability of the text's tokens.
        compression_ratio: Of the text before loops are cut; a loop compresses well.
        needs_fallback: Whether the text failed a threshold of the request.
        uncut: The segments with all rounds of a phrase that went round, where some were cut:
            whoever knows where a voice is heard can tell whether they were said.
    """

    segments: tuple[Segment, ...]
    language: str
    heard_s: float
    language_probability: float = 1.0
    avg_logprob: float = 0.0
    compression_ratio: float = 1.0
    needs_fallback: bool = False
    uncut: tuple[Segment, ...] = ()


class Engine(Protocol):
    """One loaded model."""

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
