"""The HTTP status of each error, and its shape in each family of routes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Literal, cast

from flask import Flask, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field
from redis import exceptions as redis_errors
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from gateway.dialects import BAD_REQUESTS, dialect_of, error_in
from shared import errors
from shared.errors import LonghandError
from shared.logs import bound_request_id

STATUSES: Mapping[type[LonghandError], int] = {
    errors.LonghandError: 500,
    errors.InvalidRequest: 400,
    errors.UnsupportedMedia: 415,
    errors.EngineNotAvailable: 400,
    errors.IdempotencyMismatch: 422,
    errors.ModelNotFound: 404,
    errors.JobNotFound: 404,
    errors.JobNotFinished: 409,
    errors.JobFailed: 409,
    errors.JobCancelled: 409,
    errors.JobNotRetryable: 409,
    errors.UploadNotFound: 404,
    errors.UploadConflict: 409,
    errors.ChecksumMismatch: 460,  # defined by tus
    errors.AudioError: 422,
    errors.AudioTooLarge: 413,
    errors.AudioUnreadable: 422,
    errors.AudioUnreachable: 422,
    errors.AudioGone: 410,
    errors.EngineFailed: 500,
    errors.GpuOutOfMemory: 500,
    errors.JobTimedOut: 500,
    errors.WorkerLost: 500,
    errors.AccessError: 403,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.TooManyRequests: 429,
    errors.Busy: 503,
    errors.WaitTimedOut: 504,
    errors.StorageFull: 507,
}
"""A test checks that no class is missing."""

_OPENAI_STATUSES: Mapping[type[LonghandError], int] = {
    errors.UnsupportedMedia: 400,
    errors.AudioUnreadable: 400,
}
"""Errors with another status on OpenAI's routes, whose clients expect 400."""

REDIS_AWAY = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.ReadOnlyError,
    redis_errors.OutOfMemoryError,
)
RETRY_REDIS_S = 5
OPENAI_PREFIX = "/v1/"
_OPENAI_PREFIXES = (OPENAI_PREFIX, "/openai/", "/audio/")
_OPENAI_INVALID = "invalid_request_error"
_OPENAI_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}

_log = logging.getLogger(__name__)


class ErrorAnswer(BaseModel):
    """What native and older routes answer when something is wrong."""

    model_config = ConfigDict(extra="allow")

    success: Literal[False]
    error: str = Field(description="What was wrong and what to do about it.")
    code: str = Field(description="A name for it that does not change.")
    param: str = Field("", description="The field it is about.")
    job_id: str = Field("", description="The job it is about.")

    def value(self) -> dict[str, Any]:
        """The JSON object; `param` and `job_id` are left out if there is none."""
        return self.model_dump(exclude_defaults=True)


class OpenAIError(BaseModel):
    """What is wrong, in OpenAI's words."""

    model_config = ConfigDict(extra="allow")

    message: str = Field(description="What was wrong and what to do about it.")
    type: str = Field(description="OpenAI's name of its kind.")
    param: str | None = Field(description="The field it is about.")
    code: str | None = Field(description="A name for it that does not change.")


class OpenAIErrorAnswer(BaseModel):
    """What OpenAI's routes answer when something is wrong."""

    model_config = ConfigDict(extra="allow")

    error: OpenAIError


def is_openais(path: str) -> bool:
    """
    Whether a path is one of OpenAI's routes, or of a service that has them elsewhere.

    >>> [is_openais(path) for path in ("/v1/models", "/openai/v1/models", "/models", "/audio")]
    [True, True, False, False]
    """
    return path.startswith(_OPENAI_PREFIXES)


def status_of(error: type[LonghandError], path: str) -> int:
    """
    The status of an error at a path.

    >>> status_of(errors.AudioUnreadable, "/asr"), status_of(errors.AudioUnreadable, "/v1/audio")
    (422, 400)
    """
    if dialect_of(path):
        return 400 if error in BAD_REQUESTS else STATUSES[error]
    own = _OPENAI_STATUSES if is_openais(path) else {}
    return own.get(error, STATUSES[error])


def error_value(error: LonghandError, **more: object) -> dict[str, Any]:
    """
    An error as native routes write it.

    >>> error_value(errors.ModelNotFound("no model 'larg'", param="model"))
    {'success': False, 'error': "no model 'larg'", 'code': 'model_not_found', 'param': 'model'}
    """
    return ErrorAnswer(
        success=False,
        error=error.message,
        code=error.code,
        param=error.param or "",
        job_id=error.job_id or "",
        **cast("Any", more),
    ).value()


def openai_error_value(error: LonghandError) -> dict[str, Any]:
    """
    An error as OpenAI writes it, with our `job_id` beside.

    >>> openai_error_value(errors.WaitTimedOut("it goes on", job_id="1"))["job_id"]
    '1'
    """
    return shaped(error_value(error), status_of(type(error), OPENAI_PREFIX), OPENAI_PREFIX)


def shaped(
    value: Mapping[str, Any], status: int, path: str, *, request_id: str | None = None
) -> dict[str, Any]:
    """
    An error in the shape of its path's family of routes.

    Args:
        value: The error as native routes write it.
        request_id: The request's id; None if the logs of this thread are bound to it.

    >>> shaped({"success": False, "error": "no", "code": "busy"}, 503, "/v1/models")
    {'error': {'message': 'no', 'type': 'server_error', 'param': None, 'code': 'busy'}}
    """
    if dialect := dialect_of(path):
        return error_in(dialect, value, status, request_id or bound_request_id() or "")
    if not is_openais(path):
        return dict(value)
    nested = OpenAIError(
        message=value["error"],
        type=_OPENAI_TYPES.get(status, "server_error" if status >= 500 else _OPENAI_INVALID),
        param=value.get("param"),
        code=value["code"],
    )
    own = ("success", "error", "param", "code")
    others = {name: v for name, v in value.items() if name not in own}
    return OpenAIErrorAnswer(error=nested, **others).model_dump()


def answer_error(error: LonghandError, **more: object) -> Response:
    """
    The answer to an error.

    Args:
        more: Fields to add to the body.
    """
    status = status_of(type(error), request.path)
    answer = jsonify(shaped(error_value(error, **more), status, request.path))
    answer.status_code = status
    if is_openais(request.path) and error.job_id and status in (400, 409, 500):
        # The job failed or was cancelled: OpenAI's clients would post it two more times.
        answer.headers["x-should-retry"] = "false"
    answer.headers.update(error_headers(error))
    return answer


def error_headers(error: LonghandError) -> dict[str, str]:
    """
    The headers of the answer to an error.

    >>> error_headers(errors.Busy("later", retry_after_s=5))
    {'Retry-After': '5'}
    """
    found = {}
    if error.retry_after_s is not None:
        found["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, errors.Unauthorized):
        found["WWW-Authenticate"] = "Bearer"  # RFC 9110 §15.5.2 wants one
    return found


def add_error_answers(app: Flask) -> None:
    """Let an application answer every error as JSON."""
    app.register_error_handler(LonghandError, answer_error)
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(Exception, _answer_unexpected)
    for away in REDIS_AWAY:
        app.register_error_handler(away, _answer_redis_away)


def _answer_http(error: HTTPException) -> Response | HTTPException:
    """Answer what Flask itself refuses: an unknown path or method, or a broken body."""
    if error.code is None or error.code < 400:
        return error
    try:
        phrase = HTTPStatus(error.code).phrase
    except ValueError:
        phrase = "error"
    code = phrase.lower().replace(" ", "_")
    message = error.description or phrase
    if error.code == 404:
        message = f"there is nothing at {request.path[:200]!r}; / lists what there is"
    elif error.code == 405:
        message = f"{request.method} is not possible here; {_allowed(error)}"
    elif isinstance(error, RequestEntityTooLarge):
        code, message = "invalid_request", "the form has too many or too large fields"
    refused = ErrorAnswer(success=False, error=message, code=code).value()
    answer = jsonify(shaped(refused, error.code, request.path))
    answer.status_code = error.code
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            answer.headers[name] = value
    return answer


def _allowed(error: HTTPException) -> str:
    methods = getattr(error, "valid_methods", None) or []
    return f"use {', '.join(sorted(m for m in methods if m not in ('HEAD', 'OPTIONS')))}"


def _answer_redis_away(error: Any) -> Response:
    _log.warning("Redis is away: %s", error)
    return answer_error(
        errors.Busy(
            "the queue cannot be reached at the moment; try again",
            retry_after_s=RETRY_REDIS_S,
        )
    )


def _answer_unexpected(error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.path, exc_info=error)
    return answer_error(
        LonghandError("something went wrong in the gateway; its log says what, trying again may do")
    )
