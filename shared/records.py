"""The records of jobs and runs, as Redis and storage hold them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.errors import ErrorValue
from shared.request import TranscriptionRequest
from shared.transcript import Warned

DEFAULT_OWNER = "local"
Priority = Literal["high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")


class Status(StrEnum):
    """How a job, or a run, stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self not in (Status.QUEUED, Status.RUNNING)


class StoredAudio(BaseModel):
    """
    The audio of a job, as it was uploaded.

    Attributes:
        key: Where it lies in storage.
        filename: The caller's name for it. Never used as a path.
        duration_s: Its duration, measured by reading its packets.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    key: str
    filename: str
    n_bytes: int
    sha256: str
    duration_s: float


class AskedAs(BaseModel):
    """
    How a client of another service asked for a job whose answers come later.

    Attributes:
        dialect: The service that the client was written for.
        sent: The fields of its request that are not options of ours, by that service's names.
    """

    model_config = ConfigDict(frozen=True)

    dialect: Literal["deepgram", "assemblyai"]
    sent: dict[str, Any] = Field(default_factory=dict)


class RunRecord(BaseModel):
    """
    The work on some audio with some options, as it stands now.

    Times are seconds since the epoch.

    Attributes:
        id: The id of the job that began it.
        attempt: The number of the delivery, from 1. A run whose worker died is delivered again.
        first_attempt: The attempt that the limit of attempts is counted from. It is more than 1
            after an owner had the job tried again.
        progress: Fraction done, 0 to 1.
        audio_done_s: Seconds of audio transcribed so far.
        eta_s: Seconds that were left at its last report, at the present pace.
        stages_s: Seconds that each stage took so far.
        result_key: The transcript's key in storage, once it succeeded.
        warnings: The transcript's warnings; a job is described without reading its text.
        priority: The queue it waits in.
        is_streamed: Whether a caller reads the text while it is made.
        request_id: The id of the HTTP request that began it, as in the logs.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    status: Status
    attempt: int
    request: TranscriptionRequest
    audio: StoredAudio
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
    priority: Priority = "normal"
    is_streamed: bool = False
    request_id: str | None = None


class JobRecord(RunRecord):
    """
    A job as its owner sees it now: what it asks for, and how its run stands for it.

    Attributes:
        label, callback_url: As the caller sent them; see `gateway.submission.options.JobOptions`.
        speaker_names: Names that were given to speakers later, by their labels in the transcript.
        batch: The id of its batch.
        run: The id of the run that it waits for, or whose result it has.
        audio_removed_at: When retention removed its audio.
        asked_as: How a client of another service asked for it; None for other clients.
    """

    owner: str
    created_at: float
    label: str | None = None
    callback_url: str | None = None
    speaker_names: dict[str, str] = Field(default_factory=dict)
    batch: str | None = None
    run: str | None = None
    audio_removed_at: float | None = None
    asked_as: AskedAs | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_older(cls, values: Any) -> Any:
        """A job of an older version that its owner cancelled while its run went on for others."""
        if not isinstance(values, dict) or not values.get("released"):
            return values
        kept = {k: v for k, v in values.items() if k not in ("result_key", "error", "warnings")}
        return kept | {"status": Status.CANCELLED, "ended_at": values.get("released_at")}

    @property
    def run_id(self) -> str:
        """The id of its run."""
        return self.run or self.id


class JobEntry(BaseModel):
    """
    What is known of a new job besides its audio and options: its owner, and what it may share.

    Attributes:
        cache_key: Equal for jobs that may share one run; None to share none.
        idempotency_key: The caller's own name for this request; None for no name.
        fingerprint: A hash of the request. With the same idempotency key it must be the same.
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


R = TypeVar("R", bound=RunRecord)
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


def from_hash(kind: type[R], fields: Mapping[bytes, bytes]) -> R:
    """
    A record as Redis held it.

    Raises:
        ValidationError: It is of another version.
    """
    values: dict[str, Any] = {k.decode(): v.decode() for k, v in fields.items() if v != b""}
    for name in _JSON_FIELDS:
        if name in values:
            values[name] = json.loads(values[name])
    return kind.model_validate(values)
