"""What native routes answer of jobs and their results."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from shared.records import Priority

StatusName = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Time = str | None


class Links(BaseModel):
    """Where a job and its result are found."""

    status_url: str
    result_url: str


class Accepted(Links):
    """The job goes on, and this is its name."""

    success: Literal[True]
    job_id: str
    status: StatusName


class ErrorShown(BaseModel):
    """Why a job failed."""

    model_config = ConfigDict(extra="allow")

    code: str
    message: str
    spans: list[TimeSpan] | None = Field(None, description="Of `speech_without_text`: where.")


class TimeSpan(BaseModel):
    """A part of the audio, in seconds."""

    model_config = ConfigDict(extra="allow")

    start: float
    end: float


class WarningShown(BaseModel):
    """What did not stop the transcript but should be known."""

    model_config = ConfigDict(extra="allow")

    code: str
    message: str


class JobShown(Links):
    """What a job's record tells its caller; times are RFC 3339, in UTC."""

    job_id: str
    status: StatusName
    stage: str | None = Field(description="What is being done, or was done last.")
    progress: float = Field(ge=0, le=1)
    audio_done_s: float = Field(description="Seconds of audio transcribed so far.")
    created_at: str
    started_at: Time
    ended_at: Time
    attempt: int = Field(description="Above 1 when it had to be begun again.")
    label: str | None
    priority: Priority
    callback_url: str | None
    batch: str | None = Field(description="The batch it came in.")
    stages_s: dict[str, float] = Field(description="Seconds each stage took so far.")
    speaker_names: dict[str, str] = Field(description="Names given to speakers since.")
    audio_removed_at: Time
    filename: str
    n_bytes: int
    duration: float = Field(description="Of the audio, in seconds.")
    eta_s: float | None = Field(description="Seconds it will still take, as it goes now.")
    request: dict[str, Any] = Field(description="The options it was asked with.")
    error: ErrorShown | None
    warnings: list[WarningShown] = Field(description="Of its transcript, once there is one.")
    audio_url: str


class JobAnswer(JobShown):
    """One job with all there is to know of it."""

    success: Literal[True]
    queue_position: int | None = Field(description="From 1, while it waits.")
    model: str | None = Field(description="The model that ran.")
    options: dict[str, Any] | None = Field(description="The options that were used.")


class JobList(BaseModel):
    """Some jobs, newest first."""

    success: Literal[True]
    jobs: list[JobShown]
    next_cursor: str | None = Field(description="Where the next page begins; null for the last.")


class BatchAnswer(BaseModel):
    """A batch: the jobs that came in one request."""

    success: Literal[True]
    job_id: str
    status: StatusName
    status_url: str
    progress: float = Field(ge=0, le=1)
    created_at: str
    label: str | None
    counts: dict[str, int] = Field(description="How many of its jobs are in each status.")
    children: list[JobShown]


class JobOrBatch(RootModel[JobAnswer | BatchAnswer]):
    """One job, or a batch and its jobs."""


class SegmentShown(BaseModel):
    """One phrase, with all that is known of it; times are seconds."""

    model_config = ConfigDict(extra="allow")

    id: int
    start: float
    end: float
    text: str


class Facts(BaseModel):
    """What was found out of the audio, and how it was transcribed."""

    language: str
    language_probability: float
    duration: float
    duration_after_vad: float
    transcription_options: dict[str, Any]


class TranscriptAnswer(BaseModel):
    """A whole result; `segments`, `turns` and `speaker_embeddings` only where they are wanted."""

    model_config = ConfigDict(extra="allow")

    success: Literal[True]
    job_id: str
    status: StatusName
    task: Literal["transcribe", "translate"]
    text: str
    language: str
    info: Facts
    filename: str
    model: str
    process_time: float | None
    warnings: list[WarningShown]


class FormattedTranscript(BaseModel):
    """A result in one of the formats that are JSON: `json`, `verbose_json` or `whisper`."""

    model_config = ConfigDict(extra="allow")

    text: str


class ResultAnswer(RootModel[TranscriptAnswer | FormattedTranscript]):
    """A result as its reader asks for it, where that is JSON."""


class SegmentsAnswer(BaseModel):
    """The segments that are done."""

    success: Literal[True]
    job_id: str
    status: StatusName
    progress: float
    segments: list[SegmentShown]


class Deleted(BaseModel):
    """What was removed, and how it stood."""

    success: Literal[True]
    job_id: str
    status: StatusName
    deleted: Literal[True]


class Cancelled(BaseModel):
    """How a job stands that was to be cancelled."""

    success: Literal[True]
    job_id: str
    status: StatusName
    cancelled: bool = Field(description="Whether this did it; false if the job had ended before.")
