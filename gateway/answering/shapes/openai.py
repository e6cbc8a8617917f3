"""What OpenAI's routes answer: the models of OpenAI's own clients, and what we say beside."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from gateway.answering.shapes.segments import WhisperSegment


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Usage(_Shape):
    """What was worked on: seconds of audio."""

    type: Literal["duration"]
    seconds: float


class Logprob(_Shape):
    """How sure the model is of a word; `token` is the word as it is written, `bytes` its UTF-8."""

    token: str
    logprob: float
    bytes: list[int]


class WarnedSpan(_Shape):
    """A part of the audio, in seconds."""

    start: float
    end: float


class Warned(_Shape):
    """Something that did not stop the transcript but should be known."""

    code: str
    message: str
    spans: list[WarnedSpan] | None = Field(None, description="Of `speech_without_text`: where.")


class Text(_Shape):
    """`response_format=json`."""

    text: str
    usage: Usage | None = Field(None, description="Of a transcription.")
    logprobs: list[Logprob] | None = Field(None, description="Where `include[]` asks for them.")


class TimedWord(_Shape):
    """A word and when it is spoken, in seconds."""

    word: str
    start: float
    end: float
    speaker: str | None = Field(None, description="Where it was asked who speaks, and is known.")


class TimedSegment(WhisperSegment):
    """A phrase with all that Whisper says of it; `seek` is in frames of 10 ms."""

    speaker: str | None = Field(None, description="In every segment where it was asked who speaks.")
    language: str | None = Field(None, description="Where each chunk had its own detected.")
    chars: list[dict[str, Any]] | None = Field(
        None, description="Times of characters, where `return_char_alignments` asked for them."
    )


class Verbose(_Shape):
    """`response_format=verbose_json`."""

    task: Literal["transcribe", "translate"]
    language: str
    duration: float
    text: str
    segments: list[TimedSegment]
    words: list[TimedWord] | None = Field(
        None, description="Where they were asked for, or no granularity was named."
    )
    usage: Usage | None = Field(None, description="Of a transcription.")
    logprobs: list[Logprob] | None = Field(None, description="Where `include[]` asks for them.")
    model: str = Field(description="The model that ran, whatever name it was asked by.")
    warnings: list[Warned] | None = None


class SpokenSegment(_Shape):
    """What one person says; `speaker` is `A`, `B` …, a known name, or `unknown`."""

    type: Literal["transcript.text.segment"]
    id: str
    start: float
    end: float
    text: str
    speaker: str


class Diarized(_Shape):
    """`response_format=diarized_json`."""

    task: Literal["transcribe"]
    duration: float
    text: str
    segments: list[SpokenSegment]
    usage: Usage
    model: str = Field(description="The model that ran, whatever name it was asked by.")
    warnings: list[Warned] | None = None


class OpenAITranscript(RootModel[Text | Verbose | Diarized]):
    """What `response_format` asks for, where that is JSON."""


class Delta(_Shape):
    """More of the text, in an event; all of them one after the other are the whole."""

    type: Literal["transcript.text.delta"]
    delta: str
    logprobs: list[Logprob] | None = Field(None, description="Where `include[]` asks for them.")


class Done(_Shape):
    """The whole text, in the last event."""

    type: Literal["transcript.text.done"]
    text: str
    segments: list[TimedSegment] | list[SpokenSegment] = Field(
        description="As in `verbose_json`, or in `diarized_json`, where that was asked for."
    )
    logprobs: list[Logprob] | None = Field(None, description="Where `include[]` asks for them.")
    warnings: list[Warned] | None = None


class Model(_Shape):
    """A model a request may name; `created` is 0, since it is not known."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(_Shape):
    """Every model that is advertised."""

    object: Literal["list"]
    data: list[Model]
