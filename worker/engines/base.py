"""What an engine is: audio chunks in, segments out. It knows neither jobs nor files of audio."""

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
    How a chunk is to be decoded. All fields but `context` are those of `TranscriptionRequest`.

    Attributes:
        language: A Whisper code; None to detect the language in this chunk.
        prompt: A text of the caller, which the model takes for what was said before the audio.
        context: Tokens of what was said just before this chunk, with timestamps.
        temperature: That of this try. A try at a higher temperature has options of its own.
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
        """The options that must be equal in a batch: all but language, prompt and context."""
        return replace(self, language=None, prompt=None, context=())


@dataclass(frozen=True)
class Chunk:
    """
    At most 30 s of audio to be decoded.

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
    """A detected language, and its probability from 0 to 1."""

    language: str
    probability: float


@dataclass(frozen=True)
class Decoding:
    """
    The text of one chunk.

    Attributes:
        segments: Their times count from the chunk's start; empty if nobody speaks.
        language: The one that was asked for, or detected in this chunk.
        heard_s: How many seconds of the chunk the text covers. Whisper ends a text early if a
            sentence does not fit into the chunk; the rest has to be decoded again.
        language_probability: From 0 to 1; 1 for a language that was asked for.
        avg_logprob: Mean log probability of the text's tokens.
        compression_ratio: Of the text before repetitions were cut. A loop compresses well.
        fails_thresholds: Whether the text failed a threshold of the request.
        uncut: The segments with all repetitions of a phrase, if some were cut. Only where a voice
            is heard shows whether they were said.
    """

    segments: tuple[Segment, ...]
    language: str
    heard_s: float
    language_probability: float = 1.0
    avg_logprob: float = 0.0
    compression_ratio: float = 1.0
    fails_thresholds: bool = False
    uncut: tuple[Segment, ...] = ()


class Engine(Protocol):
    """One loaded model."""

    @property
    def is_multilingual(self) -> bool:
        """Whether the model knows languages other than English."""
        ...

    def detect_language(self, waveform: NDArray[np.float32]) -> Guess:
        """Detect the language of (n_samples,) float32, from its first 30 s."""
        ...

    def transcribe(self, chunks: Sequence[Chunk]) -> list[Decoding]:
        """
        Decode chunks; those whose `options.shared` are equal in one pass, if the engine can.

        Returns:
            One decoding for each chunk, in order.

        Raises:
            EngineFailed: The model does not know a language that is asked for.
            GpuOutOfMemory: They do not fit into memory; fewer may.
        """
        ...
