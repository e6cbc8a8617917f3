"""Routes that clients of Deepgram and AssemblyAI call, and how those services write errors."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared import errors
from shared.errors import LonghandError

Dialect = Literal["deepgram", "assemblyai"]

_PREFIXES: tuple[tuple[str, Dialect], ...] = (("/v1/listen", "deepgram"), ("/v2/", "assemblyai"))

BAD_REQUESTS: frozenset[type[LonghandError]] = frozenset(
    {
        errors.ModelNotFound,
        errors.AudioUnreadable,
        errors.AudioUnreachable,
        errors.AudioError,
        errors.UploadNotFound,
        errors.UploadConflict,
        errors.JobNotFinished,
        errors.JobCancelled,
        errors.JobFailed,
        errors.AudioGone,
    }
)
"""Errors that are 400 for these clients, some of which know no other status."""

_DEEPGRAMS = {
    "unauthorized": "INVALID_AUTH",
    "forbidden": "INSUFFICIENT_PERMISSIONS",
    "audio_unreachable": "REMOTE_CONTENT_ERROR",
    "model_not_found": "INVALID_QUERY_PARAMETER",
    "too_many_requests": "TOO_MANY_REQUESTS",
}
"""Deepgram's names for our error codes; for all others it uses HTTP's reason phrase."""


class DeepgramErrorAnswer(BaseModel):
    """What Deepgram's route answers when something is wrong."""

    model_config = ConfigDict(extra="forbid")

    err_code: str = Field(description="Deepgram's name for it.")
    err_msg: str = Field(description="What was wrong and what to do about it.")
    request_id: str = Field(description="What the logs call the request.")
    job_id: str = Field("", description="The job it is about.")


class AssemblyAIErrorAnswer(BaseModel):
    """What AssemblyAI's routes answer when something is wrong."""

    model_config = ConfigDict(extra="forbid")

    error: str = Field(description="What was wrong and what to do about it.")
    job_id: str = Field("", description="The job it is about.")


def dialect_of(path: str) -> Dialect | None:
    """
    The service whose clients call a path; None for all other paths.

    >>> [dialect_of(path) for path in ("/v1/listen", "/v2/transcript/1", "/v1/models")]
    ['deepgram', 'assemblyai', None]
    """
    return next((dialect for prefix, dialect in _PREFIXES if path.startswith(prefix)), None)


def error_in(
    dialect: Dialect, value: Mapping[str, Any], status: int, request_id: str
) -> dict[str, Any]:
    """
    An error as a service writes it.

    Args:
        value: The error as native routes write it.

    >>> error_in("assemblyai", {"error": "no", "code": "busy"}, 503, "r1")
    {'error': 'no'}
    >>> error_in("deepgram", {"error": "no", "code": "busy"}, 503, "r1")
    {'err_code': 'Service Unavailable', 'err_msg': 'no', 'request_id': 'r1'}
    """
    job_id = value.get("job_id", "")
    if dialect == "assemblyai":
        shown = AssemblyAIErrorAnswer(error=value["error"], job_id=job_id)
        return shown.model_dump(exclude_defaults=True)
    code = _DEEPGRAMS.get(str(value["code"]))
    if code is None and value["code"] == "invalid_request" and "param" in value:
        code = "INVALID_QUERY_PARAMETER"
    return DeepgramErrorAnswer(
        err_code=code or HTTPStatus(status).phrase,
        err_msg=value["error"],
        request_id=request_id,
        job_id=job_id,
    ).model_dump(exclude_defaults=True)
