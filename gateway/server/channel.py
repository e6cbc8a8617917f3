"""
A request that cannot be taken is refused by its header, before any of its body is stored.

These parts of waitress are replaced:
- `HTTPRequestParser`: it takes the whole body before the application is called, so the application
  could refuse a body only after it was sent. To be removed when waitress calls it earlier.
- `ErrorTask`: its answers are plain text; ours are JSON, logged and counted. To be removed when
  waitress lets the application write them.
- `HTTPChannel`'s close after an error: a caller who is still sending would get a reset in place of
  the answer. To be removed when waitress closes such a connection in two steps (RFC 9112, 9.6).
All of it runs on waitress's only I/O thread, so nothing in this module may wait.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from waitress.parser import HTTPRequestParser
from waitress.server import MultiSocketServer
from waitress.task import ErrorTask
from waitress.utilities import Error, RequestEntityTooLarge

from gateway.access.headers import REQUEST_ID, choose_request_id
from gateway.errors import STATUSES, ErrorAnswer, error_headers, error_value, shaped
from gateway.reading.audio import too_large
from gateway.reading.resumable import MOST_PART_BYTES, part_too_large
from gateway.server.access_log import log_refusal
from gateway.server.resuming import ResumableChannel
from gateway.waiting.watcher import Watcher
from shared.errors import AudioTooLarge, Busy, LonghandError, StorageFull
from shared.storage import FULL, is_full

FORM_ALLOWANCE_BYTES = 100_000
"""What a form may hold beside its audio: boundaries, names, options, a long prompt."""

Count = Callable[[str, str, int], None]
"""Counts a request by its method, path and status."""

_JOB_PATHS = (
    "/transcribe", "/v1/audio", "/audio", "/openai", "/v1/listen", "/v2/transcript", "/recognise",
    "/asr", "/detect-language", "/inference",
)  # fmt: skip
_TOO_LARGE = "Content Too Large"
_LINGER_S = 10.0
_DISCARD_BYTES = 1 << 18
_CODES = {400: "invalid_request", 413: AudioTooLarge.code, 431: "header_too_large"}


def body_limit(max_audio_bytes: int) -> int:
    """The size in bytes from which waitress refuses a body (`max_request_body_size`)."""
    return max_audio_bytes + FORM_ALLOWANCE_BYTES + 1


class Refusal(Error):  # type: ignore[misc]  # waitress has no types
    """An error that is answered in place of the application's answer."""

    def __init__(self, error: LonghandError, reason: str | None = None) -> None:
        super().__init__(error.message)
        self.code = STATUSES[type(error)]
        self.reason = reason or HTTPStatus(self.code).phrase
        self.value = error_value(error)
        self.headers = error_headers(error)


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Reads a request, and ends it at the header if it is refused."""

    busy: Callable[[], Busy | None] = staticmethod(lambda: None)
    """Says why no new job is taken now. It is called on the I/O thread, so it may not wait."""

    def refusal(self) -> Refusal | None:
        """The answer to a request that is refused by its header; None if it may go on."""
        if self.content_length >= self.adj.max_request_body_size:
            return _too_large(self.content_length, self.adj.max_request_body_size)
        if self.content_length > MOST_PART_BYTES and is_part(self.command, self.path):
            return Refusal(part_too_large(self.content_length), _TOO_LARGE)
        if makes_job(self.command, self.path) and (busy := self.busy()):
            return Refusal(busy)
        return None

    def parse_header(self, header_plus: bytes) -> None:
        """Read the header; see `HTTPRequestParser.parse_header`."""
        super().parse_header(header_plus)
        refusal = self.refusal()
        if refusal is not None:
            self.error = refusal
            self.completed = True
            # Else waitress would ask for the body with `100 Continue`.
            self.expect_continue = False
            # Else waitress would replace this error with its own.
            self.content_length = 0
            self.body_rcv = None

    def received(self, data: bytes) -> int:
        """Take what arrived; see `HTTPRequestParser.received`."""
        try:
            n_taken = int(super().received(data))
        except OSError as error:  # the body is written to disk as it arrives
            if not is_full(error):
                raise
            self._refuse_unstored()
            return len(data)
        if isinstance(self.error, RequestEntityTooLarge):  # a chunked body grew too large
            self.error = _too_large(None, self.adj.max_request_body_size)
        # After a refused request comes the rest of its body, not another request.
        return len(data) if self.error is not None else n_taken

    def _refuse_unstored(self) -> None:
        """Drop a body for which the disk has no room."""
        body: Any = self.body_rcv
        self.body_rcv = None
        with suppress(OSError):  # closing writes what is buffered
            body.getbuf().close()
        self.error = Refusal(StorageFull(FULL))
        self.completed = True


def _too_large(n_bytes: int | None, limit: int) -> Refusal:
    return Refusal(too_large(n_bytes, limit - FORM_ALLOWANCE_BYTES - 1), _TOO_LARGE)


def makes_job(method: str, path: str) -> bool:
    """
    Whether a request would queue a job.

    >>> [makes_job("POST", path) for path in ("/transcribe/file", "/jobs/1/retry", "/reload")]
    [True, True, False]
    """
    if method != "POST":
        return False
    path = path.rstrip("/")
    if path.startswith("/jobs/"):
        return path.endswith("/retry")
    return any(path == known or path.startswith(f"{known}/") for known in _JOB_PATHS)


def is_part(method: str, path: str) -> bool:
    """Whether a request is a part of a resumable upload."""
    return method in ("PATCH", "POST") and path.startswith("/uploads/")


class JsonErrorTask(ErrorTask):  # type: ignore[misc]
    """Answers an error of waitress, or a `Refusal`, as JSON in the shape of the path's family."""

    count: Count = staticmethod(lambda method, path, status: None)
    """Counts requests that do not reach the application."""

    def execute(self) -> None:
        """Write the answer."""
        error = self.request.error
        if isinstance(error, Refusal):
            value = error.value
        else:
            code = _CODES.get(error.code, "internal_error" if error.code == 500 else "bad_request")
            value = ErrorAnswer(success=False, error=str(error.body), code=code).value()
        request_id = choose_request_id(self.request.headers.get("X_REQUEST_ID"))
        # There is no path if the header could not be read.
        path = getattr(self.request, "path", None) or ""
        value = shaped(value, error.code, path, request_id=request_id)
        body = json.dumps(value, separators=(",", ":")).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.response_headers.extend(getattr(error, "headers", {}).items())
        self._note(error.code, request_id)
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)

    def _note(self, status: int, request_id: str) -> None:
        """Add the request's id; log and count the request, as the application does for others."""
        self.response_headers.append((REQUEST_ID, request_id))
        method, path = getattr(self.request, "command", ""), getattr(self.request, "path", "")
        log_refusal(request_id=request_id, method=method, path=path, status=status)
        self.count(method, path, status)


class Channel(ResumableChannel):
    """
    One connection.

    After a refusal only our sending side is closed, and what still arrives is discarded for some
    seconds. Otherwise a caller who is still sending would get a reset and lose the answer.
    """

    parser_class = Parser
    error_task_class = JsonErrorTask
    _refused = False
    _discard_until = 0.0

    def received(self, data: bytes) -> bool:
        """Take what arrived, unless a request of this connection was refused."""
        if self._refused or any(request.error is not None for request in list(self.requests)):
            return False
        return bool(super().received(data))

    def service(self) -> None:
        """Answer a request; called on one of waitress's threads."""
        self._refused = self.requests[0].error is not None
        super().service()

    def readable(self) -> bool:
        """Whether to read."""
        return bool(self._discard_until or super().readable())

    def writable(self) -> bool:
        """Whether there is something to send, or the connection is to be closed."""
        if self._discard_until:
            return bool(self.will_close)
        return bool(super().writable())

    def handle_read(self) -> None:
        """Receive; the bytes of a refused caller are discarded."""
        if not self._discard_until:
            super().handle_read()
            return
        try:
            more = self.recv(_DISCARD_BYTES)
        except OSError:
            more = b""
        if not more or time.monotonic() > self._discard_until:
            self.handle_close()

    def handle_close(self) -> None:
        """Close the connection; after a refusal, first only our sending side."""
        if self._refused and not self._discard_until and self.connected:
            self._discard_until = time.monotonic() + _LINGER_S
            self.will_close = False
            # waitress closes a connection that is silent for `channel_timeout`: make that soon.
            self.last_activity = time.time() - self.adj.channel_timeout + _LINGER_S
            try:
                self.socket.shutdown(1)
                return
            except OSError:
                pass  # closed already
        super().handle_close()


def use_channel(
    server: Any,
    watcher: Watcher,
    busy: Callable[[], Busy | None] = lambda: None,
    count: Count = lambda method, path, status: None,
) -> None:
    """
    Make a waitress server use `Channel` for its connections.

    Args:
        watcher: Watches the jobs of requests that were put aside.
        busy: Why no new job is taken now; None if there is no reason.
        count: Counts a request that is refused from its header.
    """
    parser = type("SiteParser", (Parser,), {"busy": staticmethod(busy)})
    task = type("SiteTask", (JsonErrorTask,), {"count": staticmethod(count)})
    own = {"parser_class": parser, "error_task_class": task, "watcher": watcher}
    channel = type("SiteChannel", (Channel,), own)
    for listener in listeners_of(server):
        listener.channel_class = channel


def listeners_of(server: Any) -> list[Any]:
    """The listening sockets of a waitress server, one for each address."""
    found = server.map.values() if isinstance(server, MultiSocketServer) else [server]
    return [listener for listener in found if hasattr(listener, "channel_class")]


def listens_on(server: Any) -> list[tuple[str, str]]:
    """The hosts and ports that a waitress server listens on."""
    if isinstance(server, MultiSocketServer):
        return list(server.effective_listen)
    return [(server.effective_host, server.effective_port)]
