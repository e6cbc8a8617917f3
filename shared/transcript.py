"""What a transcription is: segments, words, speaker turns, and how they were made."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1


class Value(BaseModel):
    """A frozen value. Fields a newer version added are kept, so that an older one loses nothing."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Word(Value):
    """
    One word, with the punctuation that belongs to it.

    Attributes:
        word: As Whisper writes it: English words begin with a space.
        start, end: Seconds from the start of the audio.
    """

    word: str
    start: float
    end: float
    probability: float
    speaker: str | None = None


class Segment(Value):
    """
    One phrase, with all of Whisper's own fields.

    Attributes:
        seek: Start of the chunk it came from, in frames of 10 ms.
        start, end: Seconds from the start of the audio.
        tokens: Whisper's tokens, timestamps included.
        words: None when word times were not asked for.
    """

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: tuple[int, ...]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    words: tuple[Word, ...] | None = None
    speaker: str | None = None


class SpeakerTurn(Value):
    """A span one speaker holds, in seconds."""

    speaker: str
    start: float
    end: float


class Warned(Value):
    """Something that did not stop the transcript but should be known."""

    code: str
    message: str


class Transcript(Value):
    """
    The whole result of a job, as it is stored.

    Attributes:
        duration: Seconds of audio.
        duration_after_vad: Seconds of it in which somebody speaks.
        model: The model that ran, whatever name it was asked by.
        options: The request as it was carried out.
    """

    schema_version: int = SCHEMA_VERSION
    text: str
    task: str
    language: str
    language_probability: float
    duration: float
    duration_after_vad: float
    segments: tuple[Segment, ...]
    model: str
    model_revision: str
    engine: str
    options: dict[str, Any] = Field(default_factory=dict)
    warnings: tuple[Warned, ...] = ()
