"""Every request has an id, one line in the log, and is counted."""

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
"""The route of what was asked for where there is nothing."""

_LONGEST_PATH = 200
_PROBES = ("/health", "/health/live", "/health/ready", "/metrics", "/_auth")
"""Asked for every few seconds, or by nginx with each request: a line if it did not go well."""

_log = logging.getLogger("gateway.access_log")


def note_requests(app: Flask) -> None:
    """Give an application's requests ids and lines; to be called before it gets other hooks."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_forget)


def log_refusal(*, request_id: str, method: str, path: str, status: int) -> None:
    """Write the line of a request that never came to the application."""
    with request_logged(request_id):
        _log.info("refused", extra={"method": method, "path": _shown_path(path), "status": status})


def count_refusal(app: Flask, method: str, path: str, status: int) -> None:
    """Count a request that never came to an application, by the route it would have come to."""
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
            # Of a body that is still being made, not: counting would wait for its end.
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
    except LonghandError:  # nobody's, and it was refused
        return ""


def _shown_path(path: str) -> str:
    """A path as it was sent, on one line and without its query."""
    return quote(path, safe="/:@!$&'()*+,;=~")[:_LONGEST_PATH]
