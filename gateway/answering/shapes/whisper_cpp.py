"""What the route of whisper.cpp's server answers."""

from __future__ import annotations

from typing import NotRequired

from pydantic import Field, RootModel, with_config
from typing_extensions import TypedDict

from gateway.answering.shapes.base import ClosedShape, Task


class InferenceText(ClosedShape):
    """`response_format=json`: a line of text for each segment."""

    text: str


@with_config(extra="forbid")
class InferenceWord(TypedDict):
    """A word; times in seconds."""

    word: str
    start: NotRequired[float]
    end: NotRequired[float]
    probability: float


@with_config(extra="forbid")
class InferenceSegment(TypedDict):
    """A phrase; times in seconds, unless `no_timestamps` asked; `speaker` is a number."""

    id: int
    text: str
    start: NotRequired[float]
    end: NotRequired[float]
    speaker: NotRequired[str]
    tokens: list[int]
    words: list[InferenceWord]
    temperature: float
    avg_logprob: float
    no_speech_prob: float


class InferenceVerbose(ClosedShape):
    """`response_format=verbose_json`."""

    task: Task
    language: str = Field(description="Its English name, as Whisper has it.")
    duration: float
    text: str
    detected_language: str | None = None
    detected_language_probability: float | None = None
    language_probabilities: dict[str, float] | None = None
    segments: list[InferenceSegment]


class Inference(RootModel[InferenceText | InferenceVerbose]):
    """What `response_format` asks for, if that is JSON."""
