"""
What the shapes of several families of routes have in common.

An answer is built as a `Shape` and dumped, so its fields are listed in one place, in the order in
which they are written. Segments and words are `TypedDict`s, since a transcript may have thousands
of them: they cost no more to build than a dict, and a model would take three times as long.
Fields with `SkipValidation` hold values that a stored transcript or record dumped itself.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, WithJsonSchema, with_config
from typing_extensions import TypedDict

from shared.records import Status

StatusName = Annotated[
    Status, WithJsonSchema({"enum": [status.value for status in Status], "type": "string"})
]
Task = Annotated[str, WithJsonSchema({"enum": ["transcribe", "translate"], "type": "string"})]


class Shape(BaseModel):
    """JSON that a route answers."""

    def value(self) -> dict[str, Any]:
        """The JSON object; a field that has its default is left out."""
        return self.model_dump(exclude_defaults=True)


class ClosedShape(Shape):
    """JSON that has no other fields than those that are documented."""

    model_config = ConfigDict(extra="forbid")


class Succeeded(Shape):
    """What every native and older answer begins with when all went well."""

    success: Literal[True]


@with_config(extra="forbid")
class TimeSpan(TypedDict):
    """A part of the audio, in seconds."""

    start: float
    end: float


@with_config(extra="forbid")
class WarningShown(TypedDict):
    """What did not stop the transcript; `spans` says where `speech_without_text` is."""

    code: str
    message: str
    spans: NotRequired[list[TimeSpan]]


@with_config(extra="forbid")
class WhisperSegment(TypedDict):
    """All that Whisper says of a phrase; times in seconds, `seek` in frames of 10 ms."""

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


@with_config(extra="forbid")
class TimedSegment(WhisperSegment):
    """
    A phrase with all that Whisper says of it, and what else was asked for.

    `speaker` is in every segment if the caller asked who speaks, `language` if each chunk had its
    own detected, and `chars` (times of characters) if `return_char_alignments` asked.
    """

    speaker: NotRequired[str | None]
    language: NotRequired[str]
    chars: NotRequired[list[dict[str, Any]]]
