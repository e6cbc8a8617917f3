"""Every request gets an id and one line in the log, and is counted."""

from __future__ import annotations

import logging
import time
from urllib.parse import quote

from flask import Flask, Response, g, request
from structlog.contextvars import bind_contextvars, unbind_contextvars
from werkzeug.exceptions import HTTPException

from gateway.access.auth import present_owner
from gateway.access.headers import REQUEST_ID, choose_request_id
from gateway.services import services, services_of
from shared.errors import LonghandError
from shared.logs import request_logged

UNMATCHED = "unmatched"
"""The route, in metrics, of requests whose path is no route."""

_LONGEST_PATH = 200
_PROBES = ("/health", "/health/live", "/health/ready", "/metrics", "/_auth")
"""Asked every few seconds, or by nginx with each request: logged at debug unless they fail."""

_log = logging.getLogger("gateway.access_log")


def note_requests(app: Flask) -> None:
    """Give requests ids and log lines. Call it before the application gets other hooks."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_forget)


def log_refusal(*, request_id: str, method: str, path: str, status: int) -> None:
    """Log a request that was refused before it reached the application."""
    with request_logged(request_id):
        _log.info("refused", extra={"method": method, "path": _shown_path(path), "status": status})


def count_refusal(app: Flask, method: str, path: str, status: int) -> None:
    """Count a request that was refused before it reached the application, by its route."""
    try:
        rule, _ = app.url_map.bind("").match(path, method=method, return_rule=True)
        route = rule.rule
    except HTTPException:
        route = UNMATCHED
    services_of(app).metrics.count_request(route, method, status)


def _begin() -> None:
    g.begun = time.perf_counter()
    g.request_id = choose_request_id(request.headers.get(REQUEST_ID))
    bind_contextvars(request_id=g.request_id)


def _end(answer: Response) -> Response:
    seconds = time.perf_counter() - g.begun
    answer.headers[REQUEST_ID] = g.request_id
    route = request.url_rule.rule if request.url_rule else UNMATCHED
    services().metrics.count_request(route, request.method, answer.status_code, seconds)
    is_probe = request.path in _PROBES and answer.status_code < 400
    _log.log(
        logging.DEBUG if is_probe else logging.INFO,
        "answered",
        extra={
            "method": request.method,
            "path": _shown_path(request.path),
            "status": answer.status_code,
            "seconds": round(seconds, 4),
            # Not of a streamed body: counting would wait for its end.
            "bytes": None if answer.is_streamed else answer.calculate_content_length(),
            "owner": _owner(),
        },
    )
    return answer


def _forget(_error: BaseException | None) -> None:
    unbind_contextvars("request_id")


def _owner() -> str:
    try:
        return present_owner()
    except LonghandError:  # the request was refused, so it has no owner
        return ""


def _shown_path(path: str) -> str:
    """A path as it was sent, without its query. Control characters are quoted."""
    return quote(path, safe="/:@!$&'()*+,;=~")[:_LONGEST_PATH]
