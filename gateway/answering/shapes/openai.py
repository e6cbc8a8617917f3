"""What OpenAI's routes answer: the models of OpenAI's own clients, and what we add."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field, RootModel, SkipValidation, WithJsonSchema, with_config
from typing_extensions import TypedDict

from gateway.answering.shapes.base import ClosedShape, Task, TimedSegment, WarningShown


class Usage(ClosedShape):
    """What was worked on: seconds of audio."""

    type: Literal["duration"]
    seconds: float


@with_config(extra="forbid")
class Logprob(TypedDict):
    """How sure the model is of a word; `token` is the word as it is written, `bytes` its UTF-8."""

    token: str
    logprob: float
    bytes: list[int]


class Text(ClosedShape):
    """`response_format=json`."""

    text: str
    usage: Usage | None = Field(None, description="Usage, for a transcription.")
    logprobs: list[Logprob] | None = Field(None, description="If `include[]` asks for them.")


@with_config(extra="forbid")
class TimedWord(TypedDict):
    """A word and when it is spoken, in seconds; `speaker` if it was asked for and is known."""

    word: str
    start: float
    end: float
    speaker: NotRequired[str]


class Verbose(ClosedShape):
    """`response_format=verbose_json`."""

    task: Task
    language: str
    duration: float
    text: str
    segments: SkipValidation[list[TimedSegment]]
    usage: Usage | None = Field(None, description="Usage, for a transcription.")
    logprobs: list[Logprob] | None = Field(None, description="If `include[]` asks for them.")
    model: str = Field(description="The model that ran, by its own name.")
    words: list[TimedWord] | None = Field(
        None, description="If they were asked for, or if no granularity was named."
    )
    warnings: SkipValidation[list[WarningShown] | None] = None


class SpokenSegment(ClosedShape):
    """What one person says; `speaker` is `A`, `B` …, a known name, or `unknown`."""

    type: Literal["transcript.text.segment"]
    id: str
    start: float
    end: float
    text: str
    speaker: str


class Diarized(ClosedShape):
    """`response_format=diarized_json`."""

    task: Annotated[str, WithJsonSchema({"const": "transcribe", "type": "string"})]
    duration: float
    text: str
    segments: list[SpokenSegment]
    usage: Usage
    model: str = Field(description="The model that ran, by its own name.")
    warnings: SkipValidation[list[WarningShown] | None] = None


class OpenAITranscript(RootModel[Text | Verbose | Diarized]):
    """What `response_format` asks for, if that is JSON."""


class Delta(ClosedShape):
    """More of the text, in an event; all of them one after the other are the whole."""

    type: Literal["transcript.text.delta"]
    delta: str
    logprobs: list[Logprob] | None = Field(None, description="If `include[]` asks for them.")


class Done(ClosedShape):
    """The whole text, in the last event."""

    type: Literal["transcript.text.done"]
    text: str
    segments: SkipValidation[list[TimedSegment] | list[SpokenSegment]] = Field(
        description="As in `verbose_json` or `diarized_json`, if that was asked for."
    )
    logprobs: list[Logprob] | None = Field(None, description="If `include[]` asks for them.")
    warnings: SkipValidation[list[WarningShown] | None] = None


class Model(ClosedShape):
    """A model a request may name; `created` is 0, since it is not known."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(ClosedShape):
    """Every model that is advertised."""

    object: Literal["list"]
    data: list[Model]
