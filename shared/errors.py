"""
Every error that a caller may get.

    LonghandError
    ├── InvalidRequest            a field is unknown, missing or out of range
    │   ├── UnsupportedMedia      a body of a kind this route does not take
    │   └── EngineNotAvailable    an engine that Longhand does not have
    ├── IdempotencyMismatch       an Idempotency-Key that was used for another request
    ├── ModelNotFound             no such model, or no worker has it or can load it
    ├── JobNotFound               no such job, or not yours
    ├── JobNotFinished            the job has no result yet
    ├── JobFailed                 the job failed, so it has no result
    ├── JobCancelled
    ├── JobNotRetryable           it has not ended, or succeeded
    ├── UploadNotFound            no such resumable upload, or not yours
    ├── UploadConflict            a part that does not continue the upload
    ├── ChecksumMismatch          a part whose checksum is another
    ├── AudioError
    │   ├── AudioTooLarge         more bytes, or more seconds, than the operator allows
    │   ├── AudioUnreadable       not audio, or broken
    │   ├── AudioUnreachable      a URL that could not be fetched
    │   └── AudioGone             it was removed after its time
    ├── EngineFailed              the model could not do its work
    │   └── GpuOutOfMemory        not even a single chunk fits beside the model
    ├── JobTimedOut               no progress for too long
    ├── WorkerLost                every worker that tried the job died
    ├── AccessError
    │   ├── Unauthorized
    │   └── Forbidden
    ├── TooManyRequests
    ├── Busy                      try again: the queue is full, or Redis is away
    ├── WaitTimedOut              the job goes on; poll it
    └── StorageFull

A job's error crosses Redis as `{"code", "message"}`, never as a pickle.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from typing_extensions import TypedDict


class ErrorValue(TypedDict, total=False):
    """An error on the wire and in a job's record."""

    code: str
    message: str
    param: str


class LonghandError(Exception):
    """
    An error with a stable code and a sentence for the person who has to act.

    Args:
        message: What was wrong and what to do about it.
        param: The request field it is about.
        job_id: The job it is about.
        retry_after_s: When trying again may help.
    """

    code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        job_id: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.job_id = job_id
        self.retry_after_s = retry_after_s

    def to_value(self) -> ErrorValue:
        """
        The form stored in a job's record.

        >>> ModelNotFound("no model 'larg'", param="model").to_value()
        {'code': 'model_not_found', 'message': "no model 'larg'", 'param': 'model'}
        """
        value = ErrorValue(code=self.code, message=self.message)
        if self.param:
            value["param"] = self.param
        return value


class InvalidRequest(LonghandError):
    """A field is unknown, missing or out of range."""

    code = "invalid_request"


class UnsupportedMedia(InvalidRequest):
    """The body is of a kind this route does not take."""

    code = "unsupported_media"


class EngineNotAvailable(InvalidRequest):
    """An engine that Longhand does not have."""

    code = "engine_not_available"


class IdempotencyMismatch(LonghandError):
    """An Idempotency-Key that was used for another request before."""

    code = "idempotency_mismatch"


class ModelNotFound(LonghandError):
    """No such model, or no live worker has it or can load it."""

    code = "model_not_found"


class JobNotFound(LonghandError):
    """There is no such job, or it belongs to someone else."""

    code = "job_not_found"


class JobNotFinished(LonghandError):
    """The result was asked for before the job ended."""

    code = "job_not_finished"


class JobFailed(LonghandError):
    """The result of a job that failed was asked for."""

    code = "job_failed"


class JobCancelled(LonghandError):
    """The job was cancelled."""

    code = "job_cancelled"


class JobNotRetryable(LonghandError):
    """Only a job that failed or was cancelled can be tried again."""

    code = "job_not_retryable"


class UploadNotFound(LonghandError):
    """There is no such resumable upload, or it belongs to someone else."""

    code = "upload_not_found"


class UploadConflict(LonghandError):
    """A part does not continue a resumable upload where it stands."""

    code = "upload_conflict"


class ChecksumMismatch(LonghandError):
    """A part of a resumable upload is not what its checksum says."""

    code = "checksum_mismatch"


class AudioError(LonghandError):
    """Something about the audio itself."""

    code = "audio_error"


class AudioTooLarge(AudioError):
    """More bytes or seconds than the operator allows."""

    code = "audio_too_large"


class AudioUnreadable(AudioError):
    """Not audio, or broken beyond reading."""

    code = "audio_unreadable"


class AudioUnreachable(AudioError):
    """A URL that could not be fetched."""

    code = "audio_unreachable"


class AudioGone(AudioError):
    """The audio was removed after its time, as the operator set."""

    code = "audio_gone"


class EngineFailed(LonghandError):
    """The model could not do its work."""

    code = "engine_failed"


class GpuOutOfMemory(EngineFailed):
    """The device has not enough memory, even for a single chunk."""

    code = "gpu_oom"


class JobTimedOut(LonghandError):
    """The job made no progress for too long."""

    code = "job_timed_out"


class WorkerLost(LonghandError):
    """Every worker that tried the job died."""

    code = "worker_lost"


class AccessError(LonghandError):
    """The caller may not do this."""

    code = "access_denied"


class Unauthorized(AccessError):
    """No key, or a wrong one."""

    code = "unauthorized"


class Forbidden(AccessError):
    """A known caller who may not do this."""

    code = "forbidden"


class TooManyRequests(LonghandError):
    """More requests than the caller's rate allows."""

    code = "too_many_requests"


class Busy(LonghandError):
    """The queue is full or Redis is away; trying again helps."""

    code = "busy"


class WaitTimedOut(LonghandError):
    """The wait ended before the job did; the job goes on."""

    code = "wait_timed_out"


class StorageFull(LonghandError):
    """The disk is full."""

    code = "storage_full"


def error_classes() -> Iterator[type[LonghandError]]:
    """Every class of the tree, the root first."""
    found: list[type[LonghandError]] = [LonghandError]
    for cls in found:
        yield cls
        found.extend(cls.__subclasses__())


def error_from_value(value: ErrorValue) -> LonghandError:
    """
    The error that a value stands for; with an unknown code it is a plain `LonghandError`.

    >>> error_from_value({"code": "busy", "message": "the queue is full"})
    Busy('the queue is full')
    """
    classes = {cls.code: cls for cls in error_classes()}
    cls = classes.get(value.get("code", ""), LonghandError)
    return cls(value.get("message", "no message"), param=value.get("param"))
