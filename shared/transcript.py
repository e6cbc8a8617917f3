"""The result of a transcription: segments, words, speaker turns, and how they were made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from shared.languages import WITHOUT_SPACES

SCHEMA_VERSION = 1


class Value(BaseModel):
    """A frozen value. It keeps fields that it does not know, which a newer version wrote."""

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


class Character(Value):
    """One character and its times in seconds; `score` is the aligner's probability, 0 to 1."""

    char: str
    start: float
    end: float
    score: float


class Segment(Value):
    """
    One phrase, with all of Whisper's own fields.

    Attributes:
        seek: Start of the chunk it came from, in frames of 10 ms.
        start, end: Seconds from the start of the audio.
        tokens: Whisper's tokens, timestamps included.
        words: None if times of words were not asked for.
        speaker: Who speaks; None if that is not known or was not asked for.
        language: Only set if the language of each chunk was detected.
        chars: Only set if times of characters were asked for.
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
    language: str | None = None
    chars: tuple[Character, ...] | None = None


class SpeakerTurn(Value):
    """A span in which one speaker speaks, in seconds."""

    speaker: str
    start: float
    end: float


class TimeSpan(Value):
    """A part of the audio, in seconds."""

    start: float
    end: float


class Warned(Value):
    """
    A warning: something that did not stop the transcript but should be known.

    Attributes:
        spans: The parts of the audio that it is about. Left out of JSON if there are none.
    """

    code: str
    message: str
    spans: tuple[TimeSpan, ...] | None = None

    @model_serializer(mode="wrap")
    def _without_none(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        value: dict[str, Any] = write(self)
        if value["spans"] is None:
            del value["spans"]
        return value

    @property
    def is_of_a_failure(self) -> bool:
        """Whether a stage failed; it may succeed another time. Others describe the result."""
        return self.code.endswith("_failed")


class Transcript(Value):
    """
    The whole result of a job, as it is stored.

    Attributes:
        duration: Seconds of audio.
        duration_after_vad: Seconds of speech in it.
        model: The model that ran, by its name in the catalogue.
        options: The options that it was made with.
        turns: Who speaks when; None if that was not asked for or could not be found.
        speaker_embeddings: A vector for the voice of each speaker, if that was asked for.
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
    turns: tuple[SpeakerTurn, ...] | None = None
    speaker_embeddings: dict[str, tuple[float, ...]] | None = None


def join_text(segments: Iterable[Segment], language: str, *, task: str = "transcribe") -> str:
    """Join the texts of segments, with spaces between them if their languages have spaces."""
    text, was_spaced = "", True
    for segment in segments:
        spoken = segment.language or language
        is_spaced = task == "translate" or spoken not in WITHOUT_SPACES
        between = " " if text and (is_spaced or was_spaced) else ""
        text += between + segment.text.strip()
        was_spaced = is_spaced
    return text
