"""What native routes answer of jobs and their results."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from pydantic import ConfigDict, Field, RootModel, SkipValidation, with_config
from typing_extensions import TypedDict

from gateway.answering.shapes.base import Shape, StatusName, Succeeded, Task, TimeSpan, WarningShown
from shared.records import Priority

Time = str | None


class OneJob(Succeeded):
    """Which job an answer is about, and its status."""

    job_id: str
    status: StatusName


class Accepted(OneJob):
    """The job was accepted: its id, and where to ask for it."""

    status_url: str
    result_url: str


@with_config(extra="allow")
class ErrorShown(TypedDict):
    """Why a job failed."""

    code: str
    message: str
    spans: NotRequired[list[TimeSpan]]


class JobShown(Shape):
    """What a job's record tells its caller; times are RFC 3339, in UTC."""

    job_id: str
    status: StatusName
    stage: str | None = Field(description="What is being done, or was done last.")
    progress: float = Field(ge=0, le=1)
    audio_done_s: float = Field(description="Seconds of audio transcribed so far.")
    created_at: str
    started_at: Time
    ended_at: Time
    attempt: int = Field(description="Above 1 if the work had to begin again.")
    label: str | None
    priority: Priority
    callback_url: str | None
    batch: str | None = Field(description="The id of its batch.")
    stages_s: dict[str, float] = Field(description="Seconds each stage took so far.")
    speaker_names: dict[str, str] = Field(description="Names that were given to speakers later.")
    audio_removed_at: Time
    filename: str
    n_bytes: int
    duration: float = Field(description="Of the audio, in seconds.")
    eta_s: float | None = Field(description="Seconds that are left, at the present pace.")
    request: dict[str, Any] = Field(description="The options of the request.")
    error: SkipValidation[ErrorShown | None]
    warnings: SkipValidation[list[WarningShown]] = Field(
        description="Warnings of its transcript, once there is one."
    )
    status_url: str
    result_url: str
    audio_url: str


class JobAnswer(JobShown, Succeeded):
    """One job with everything that is known of it."""

    queue_position: int | None = Field(
        description="Its place in the queue, from 1, while it waits."
    )
    model: str | None = Field(description="The model that ran.")
    options: dict[str, Any] | None = Field(description="The options that were used.")


class JobList(Succeeded):
    """Some jobs, newest first."""

    jobs: list[JobShown]
    next_cursor: str | None = Field(
        description="The cursor of the next page; null on the last page."
    )


class BatchAnswer(OneJob):
    """A batch: the jobs that came in one request."""

    status_url: str
    progress: float = Field(ge=0, le=1)
    created_at: str
    label: str | None
    counts: dict[str, int] = Field(description="How many of its jobs are in each status.")
    children: list[JobShown]


class JobOrBatch(RootModel[JobAnswer | BatchAnswer]):
    """One job, or a batch and its jobs."""


@with_config(extra="allow")
class SegmentShown(TypedDict):
    """One phrase, with all that is known of it; times are in seconds."""

    id: int
    start: float
    end: float
    text: str


class Facts(Shape):
    """What was found out about the audio, and how it was transcribed; durations in seconds."""

    language: str
    language_probability: float
    duration: float
    duration_after_vad: float
    transcription_options: dict[str, Any]


class TranscriptAnswer(OneJob):
    """A whole result; `segments`, `turns` and `speaker_embeddings` only if they are wanted."""

    model_config = ConfigDict(extra="allow")

    task: Task
    text: str
    language: str
    segments: SkipValidation[list[SegmentShown]] | None = None
    turns: list[dict[str, Any]] | None = Field(None, description="Who speaks when.")
    speaker_embeddings: dict[str, list[float]] | None = None
    info: Facts
    filename: str
    model: str = Field(description="The model that ran, by its own name.")
    process_time: float | None = Field(description="Seconds from the job's start to its end.")
    warnings: SkipValidation[list[WarningShown]]


class FormattedTranscript(Shape):
    """A result in one of the formats that are JSON: `json`, `verbose_json` or `whisper`."""

    model_config = ConfigDict(extra="allow")

    text: str


class ResultAnswer(RootModel[TranscriptAnswer | FormattedTranscript]):
    """A result as its reader asks for it, if that is JSON."""


class SegmentsAnswer(OneJob):
    """The segments that are done."""

    progress: float
    segments: SkipValidation[list[SegmentShown]]


class Deleted(OneJob):
    """What was removed, and its last status."""

    deleted: Literal[True]


class Cancelled(OneJob):
    """The status of a job after it was asked to stop."""

    cancelled: bool = Field(
        description="Whether this request cancelled it; false if the job had ended before."
    )
