"""What the route of whisper.cpp's server answers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class InferenceText(_Shape):
    """`response_format=json`: a line of text for each segment."""

    text: str


class InferenceWord(_Shape):
    """A word; times in seconds."""

    word: str
    start: float | None = None
    end: float | None = None
    probability: float


class InferenceSegment(_Shape):
    """A phrase; times in seconds."""

    id: int
    text: str
    start: float | None = Field(None, description="Unless `no_timestamps` was asked.")
    end: float | None = None
    speaker: str | None = Field(None, description="A number, where `diarize` asked who speaks.")
    tokens: list[int]
    words: list[InferenceWord]
    temperature: float
    avg_logprob: float
    no_speech_prob: float


class InferenceVerbose(_Shape):
    """`response_format=verbose_json`."""

    task: Literal["transcribe", "translate"]
    language: str = Field(description="Its English name, as Whisper has it.")
    duration: float
    text: str
    detected_language: str | None = None
    detected_language_probability: float | None = None
    language_probabilities: dict[str, float] | None = None
    segments: list[InferenceSegment]


class Inference(RootModel[InferenceText | InferenceVerbose]):
    """What `response_format` asks for, where that is JSON."""
