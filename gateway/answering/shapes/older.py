"""What the routes of the older systems answer."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import ConfigDict, Field, SkipValidation, WithJsonSchema, with_config
from typing_extensions import TypedDict

from gateway.answering.shapes.base import ClosedShape, Succeeded, TimedSegment, WhisperSegment
from gateway.answering.shapes.jobs import Accepted, JobShown, TranscriptAnswer
from shared.records import Status


@with_config(extra="forbid")
class OlderWord(TypedDict):
    """A word and when it is spoken, in seconds."""

    word: str
    start: float
    end: float
    probability: float
    speaker: NotRequired[str]


@with_config(extra="forbid")
class OlderSegment(TimedSegment):
    """The same, with its words if `word_timestamps` asked."""

    words: NotRequired[list[OlderWord]]


class OlderTranscript(TranscriptAnswer):
    """The whole result."""

    model_config = ConfigDict(extra="forbid")

    status: Annotated[Status, WithJsonSchema({"const": "succeeded", "type": "string"})]
    segments: SkipValidation[list[OlderSegment]]  # type: ignore[assignment]  # always there


@with_config(extra="forbid")
class WhispersSegment(WhisperSegment):
    """A segment of openai-whisper's result."""

    words: NotRequired[list[dict[str, Any]]]


class WhispersResult(ClosedShape):
    """The result of openai-whisper; with `detail=text` the text alone."""

    text: str
    segments: SkipValidation[list[WhispersSegment] | None] = None
    language: str | None = None


class OfJob(Succeeded):
    """Which job an answer is about."""

    job_id: str


class Recognised(WhispersResult, OfJob):
    """The result, and once more under `transcription` unless `envelope=0`."""

    transcription: WhispersResult | None = None


class DetectedLanguage(OfJob, ClosedShape):
    """The language of the first 30 s."""

    detected_language: str = Field(description="Its English name, as Whisper has it.")
    language_code: str
    confidence: float


class OlderAccepted(Accepted):
    """A job that was made."""

    model_config = ConfigDict(extra="allow")


class OlderStatus(JobShown, Succeeded):
    """A job as `GET /jobs/{job_id}` shows it, with its result once it has one."""

    result: OlderTranscript | None


class QueueStats(Succeeded, ClosedShape):
    """How many jobs wait, run and have ended."""

    queue_name: str
    queued: int
    running: int
    succeeded: int = Field(description="Jobs since the site's Redis was new, as in the two below.")
    failed: int
    cancelled: int
    workers: int
    slots: int = Field(description="Jobs that all workers together may work on at a time.")
