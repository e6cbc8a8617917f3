"""The error answers of `gateway.errors`, for starlette."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.errors import (
    REDIS_AWAY,
    RETRY_REDIS_S,
    STATUSES,
    ErrorAnswer,
    error_headers,
    error_value,
)
from shared.errors import Busy, LonghandError

_log = logging.getLogger(__name__)


def error_answer(error: Exception) -> Response:
    """The answer to an error."""
    if isinstance(error, REDIS_AWAY):
        _log.warning("Redis is away: %s", error)
        error = Busy("events cannot be read at the moment; try again", retry_after_s=RETRY_REDIS_S)
    elif not isinstance(error, LonghandError):
        _log.error("a request failed", exc_info=error)
        error = LonghandError("something went wrong in gateway.live; its log says what")
    return JSONResponse(error_value(error), STATUSES[type(error)], error_headers(error))


async def answer_error(_request: Request, error: Exception) -> Response:
    """Answer an error of a route."""
    return error_answer(error)


async def answer_http(request: Request, error: Exception) -> Response:
    """Answer what starlette itself refuses: an unknown path or method."""
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    message = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND:
        message = f"there is nothing at {request.url.path[:200]!r}; the gateway has the rest"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        message = f"{request.method} is not possible here; use GET"
    code = phrase.lower().replace(" ", "_")
    value = ErrorAnswer(success=False, error=message, code=code).value()
    return JSONResponse(value, error.status_code, error.headers)


ERROR_ANSWERS: dict[Any, Any] = {
    HTTPException: answer_http,
    LonghandError: answer_error,
    **dict.fromkeys(REDIS_AWAY, answer_error),
    Exception: answer_error,
}
