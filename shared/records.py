"""What a job is: its record, as Redis and storage hold it, and where that lies."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.errors import ErrorValue
from shared.request import TranscriptionRequest
from shared.transcript import Warned

DEFAULT_OWNER = "local"
Priority = Literal["high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")


class Status(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to the job."""
        return self not in (Status.QUEUED, Status.RUNNING)


class StoredAudio(BaseModel):
    """
    An accepted upload.

    Attributes:
        key: Where it lies in storage.
        filename: What the caller called it; data, never a path.
        duration_s: Its true duration, by a scan of its packets.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    key: str
    filename: str
    n_bytes: int
    sha256: str
    duration_s: float


class AskedAs(BaseModel):
    """
    How a client of another service asked for a job, where its answers come later.

    Attributes:
        dialect: Whose client it is.
        sent: What of its request is no option of ours, by that service's names.
    """

    model_config = ConfigDict(frozen=True)

    dialect: Literal["deepgram", "assemblyai"]
    sent: dict[str, Any] = Field(default_factory=dict)


class JobRecord(BaseModel):
    """
    A job as it stands now. Times are seconds since the epoch.

    Attributes:
        attempt: Which delivery this is, from 1; a job whose worker died is delivered again.
        first_attempt: The attempt from which those are counted that a job has: more than 1 after
            somebody had it tried again.
        progress: Fraction done, 0 to 1.
        audio_done_s: Seconds of audio transcribed so far.
        eta_s: Seconds it will take from its last report on, as it goes now.
        stages_s: Seconds each stage took so far.
        result_key: Where the transcript lies in storage, once succeeded.
        warnings: Of the transcript, for those who are told of the job and not of its text.
        label, priority, callback_url: As its caller said; see `gateway.reading.fields.JobOptions`.
        speaker_names: Names given to speakers after the fact, by what the transcript calls them.
        is_streamed: Whether somebody reads the text while it is made.
        batch: The batch it came in.
        follows: The job whose run this one waits for: same audio, same options, one run.
        released: What its owner did to a job that others follow: to him it is `cancelled` or
            `deleted`, though it still runs for them; `released_at` says when.
        audio_removed_at: When its audio was removed after its time.
        request_id: The request it came with, as both logs name it.
        asked_as: How a client of another service asked for it; None if it was one of ours.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    owner: str
    status: Status
    attempt: int
    request: TranscriptionRequest
    audio: StoredAudio
    created_at: float
    first_attempt: int = 1
    started_at: float | None = None
    ended_at: float | None = None
    stage: str | None = None
    progress: float = 0.0
    audio_done_s: float = 0.0
    eta_s: float | None = None
    stages_s: dict[str, float] = Field(default_factory=dict)
    worker: str | None = None
    error: ErrorValue | None = None
    result_key: str | None = None
    warnings: tuple[Warned, ...] = ()
    label: str | None = None
    priority: Priority = "normal"
    callback_url: str | None = None
    speaker_names: dict[str, str] = Field(default_factory=dict)
    is_streamed: bool = False
    batch: str | None = None
    follows: str | None = None
    released: Literal["cancelled", "deleted"] | None = None
    released_at: float | None = None
    audio_removed_at: float | None = None
    request_id: str | None = None
    asked_as: AskedAs | None = None

    @property
    def run_id(self) -> str:
        """The job whose run this one's result comes from: itself, unless it follows another."""
        return self.follows or self.id


class JobEntry(BaseModel):
    """
    How a job enters: whose it is, and what of other jobs it may share.

    Attributes:
        cache_key: Equal for jobs that may share one run; None to share none.
        idempotency_key: What its caller calls this very request; None if he does not.
        fingerprint: Of the request, which has to be equal where the idempotency key is.
        request_id, asked_as: See `JobRecord`.
    """

    model_config = ConfigDict(frozen=True)

    owner: str = DEFAULT_OWNER
    label: str | None = None
    priority: Priority = "normal"
    callback_url: str | None = None
    is_streamed: bool = False
    batch: str | None = None
    cache_key: str | None = None
    idempotency_key: str | None = None
    fingerprint: str = ""
    request_id: str | None = None
    asked_as: AskedAs | None = None


def new_job_id() -> str:
    """A fresh id: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def is_job_id(text: str) -> bool:
    """Whether `text` has the form of a job id."""
    return len(text) == 32 and all(c in "0123456789abcdef" for c in text)


def job_prefix(job_id: str) -> str:
    """Where everything stored for a job lies."""
    return f"jobs/{job_id}"


_JSON_FIELDS = ("request", "audio", "error", "stages_s", "speaker_names", "warnings", "asked_as")


def to_hash(record: JobRecord) -> dict[Any, Any]:
    """A record as Redis holds it; what is not set is not there."""
    values = record.model_dump(mode="json")
    return {
        name: json.dumps(value) if name in _JSON_FIELDS else _written(value)
        for name, value in values.items()
        if value is not None and value is not False and value not in ({}, [])
    }


def _written(value: object) -> str:
    return "1" if value is True else str(value)


def from_hash(fields: Mapping[bytes, bytes]) -> JobRecord:
    """A record as Redis held it."""
    values: dict[str, Any] = {k.decode(): v.decode() for k, v in fields.items() if v != b""}
    for name in _JSON_FIELDS:
        if name in values:
            values[name] = json.loads(values[name])
    return JobRecord.model_validate(values)
