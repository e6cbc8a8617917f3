"""
A request that cannot be taken is refused from its header, before any of its body is kept.

waitress hands a request to the application when the last byte of its body has
arrived, so what is too large must be refused here, on its only I/O thread:
nothing in this module may wait for anything.
"""

from __future__ import annotations

import json
import time
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import MultiSocketServer
from waitress.task import ErrorTask
from waitress.utilities import Error, RequestEntityTooLarge

from gateway.errors import STATUSES, error_value
from gateway.uploads import too_large
from shared.errors import AudioTooLarge

FORM_ALLOWANCE_BYTES = 100_000
"""What a form may hold beside its audio: boundaries, names, options, a prompt of 10 000 letters."""

_LINGER_S = 10.0
_DISCARD_BYTES = 1 << 18
_CODES = {400: "invalid_request", 413: AudioTooLarge.code, 431: "header_too_large"}


def body_limit(max_audio_bytes: int) -> int:
    """The size from which waitress refuses a body (`max_request_body_size`)."""
    return max_audio_bytes + FORM_ALLOWANCE_BYTES + 1


class Refusal(Error):  # type: ignore[misc]  # waitress has no types
    """An answer given in place of the application's."""

    def __init__(self, status: int, reason: str, value: dict[str, object]) -> None:
        super().__init__(str(value["error"]))
        self.code = status
        self.reason = reason
        self.value = value


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Reads a request; ends it at the header when it is to be refused."""

    def refusal(self) -> Refusal | None:
        """The answer to a request that should go no further, decided from its header."""
        if self.content_length >= self.adj.max_request_body_size:
            return _too_large(self.content_length, self.adj.max_request_body_size)
        return None

    def parse_header(self, header_plus: bytes) -> None:
        """Read the header; see `HTTPRequestParser.parse_header`."""
        super().parse_header(header_plus)
        refusal = self.refusal()
        if refusal is not None:
            self.error = refusal
            self.completed = True
            # Or waitress would ask for the body with `100 Continue`.
            self.expect_continue = False
            # Or waitress would put its own error in the place of this one.
            self.content_length = 0
            self.body_rcv = None

    def received(self, data: bytes) -> int:
        """Take what arrived; see `HTTPRequestParser.received`."""
        n_taken = int(super().received(data))
        if isinstance(self.error, RequestEntityTooLarge):  # a chunked body has grown too large
            self.error = _too_large(None, self.adj.max_request_body_size)
        # What follows a request that is refused is its body, not another request.
        return len(data) if self.error is not None else n_taken


def _too_large(n_bytes: int | None, limit: int) -> Refusal:
    error = too_large(n_bytes, limit - FORM_ALLOWANCE_BYTES - 1)
    return Refusal(STATUSES[AudioTooLarge], "Content Too Large", error_value(error))


class JsonErrorTask(ErrorTask):  # type: ignore[misc]
    """Answers an error of waitress, or a `Refusal`, in the shape of every other error."""

    def execute(self) -> None:
        """Write the answer."""
        error = self.request.error
        if isinstance(error, Refusal):
            value = error.value
        else:
            code = _CODES.get(error.code, "internal_error" if error.code == 500 else "bad_request")
            value = {"success": False, "error": str(error.body), "code": code}
        body = json.dumps(value, separators=(",", ":")).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Channel(HTTPChannel):  # type: ignore[misc]
    """
    One connection.

    A caller that is still sending when it is refused would lose the answer to a
    reset, if the connection were closed at once. So after a refusal the sending
    side is closed and what still comes is thrown away, for some seconds.
    """

    parser_class = Parser
    error_task_class = JsonErrorTask
    _refused = False
    _discard_until = 0.0

    def received(self, data: bytes) -> bool:
        """Take what arrived, unless a request on this connection was refused."""
        if self._refused or any(request.error is not None for request in list(self.requests)):
            return False
        return bool(super().received(data))

    def service(self) -> None:
        """Answer a request, on a thread of its own."""
        self._refused = self.requests[0].error is not None
        super().service()

    def readable(self) -> bool:
        """Whether to look for more."""
        return bool(self._discard_until or super().readable())

    def writable(self) -> bool:
        """Whether something is to be sent or done."""
        if self._discard_until:
            return bool(self.will_close)
        return bool(super().writable())

    def handle_read(self) -> None:
        """Receive; a refused caller's bytes go nowhere."""
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
        """Close; after a refusal only our own side at first."""
        if self._refused and not self._discard_until and self.connected:
            self._discard_until = time.monotonic() + _LINGER_S
            self.will_close = False
            # waitress closes what stays silent so long; here that is soon.
            self.last_activity = time.time() - self.adj.channel_timeout + _LINGER_S
            try:
                self.socket.shutdown(1)
                return
            except OSError:
                pass  # gone already
        super().handle_close()


def use_channel(server: Any) -> None:
    """Make a waitress server speak through `Channel`."""
    listeners = server.map.values() if isinstance(server, MultiSocketServer) else [server]
    for listener in listeners:
        if hasattr(listener, "channel_class"):
            listener.channel_class = Channel


def listens_on(server: Any) -> list[tuple[str, str]]:
    """The hosts and ports of a waitress server."""
    if isinstance(server, MultiSocketServer):
        return list(server.effective_listen)
    return [(server.effective_host, server.effective_port)]
