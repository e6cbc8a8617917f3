"""Callers who listen: to a `text/event-stream`, or to a WebSocket."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from waiting import wait_until

DEADLINE_S = 20


@dataclass(frozen=True)
class Heard:
    """One event, as a listener got it."""

    id: str
    kind: str
    data: dict[str, Any]


class Listener:
    """
    Reads a stream of events in a thread of its own.

    Attributes:
        status: Of the answer; `headers` and `body` with it, where it is no stream.
        heard: The events so far.
        comments: The comments so far.
    """

    def __init__(
        self,
        url: str,
        path: str,
        headers: dict[str, str] | None = None,
        *,
        reads: bool = True,
    ) -> None:
        """
        Begin to listen.

        Args:
            reads: Whether it reads before `may_read` is set.
        """
        parts = urlsplit(url)
        assert parts.hostname
        self.may_read = threading.Event()
        if reads:
            self.may_read.set()
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        self._connection.connect()
        self._socket = self._connection.sock
        self._connection.request("GET", path, headers=headers or {})
        self._answer = self._connection.getresponse()
        self.status, self.headers = self._answer.status, self._answer.headers
        self.heard: list[Heard] = []
        self.comments: list[str] = []
        self.body = b""
        if self.headers.get_content_type() != "text/event-stream":
            self.body = self._answer.read()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        self.may_read.wait()
        with suppress(OSError, http.client.HTTPException, ValueError):
            for line in self._answer:
                name, _, value = line.decode().rstrip("\n").partition(":")
                if line.startswith(b":"):
                    self.comments.append(value)
                elif name:
                    fields[name] = value.removeprefix(" ")
                elif "data" in fields:
                    data = json.loads(fields["data"])
                    self.heard.append(Heard(fields["id"], fields["event"], data))
                    fields = {}

    @property
    def has_ended(self) -> bool:
        """Whether the other side has ended the stream."""
        return not self._thread.is_alive()

    def wait(self, n: int) -> list[Heard]:
        """Wait until `n` events have come; all that have."""
        wait_until(lambda: len(self.heard) >= n, DEADLINE_S, f"{n} events")
        return self.heard

    def wait_for_end(self, deadline_s: float = DEADLINE_S) -> list[Heard]:
        """Wait until the stream ends; all that came."""
        wait_until(lambda: self.has_ended, deadline_s, "the end of the stream")
        return self.heard

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        """Leave."""
        self.may_read.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(DEADLINE_S)
        self._answer.close()
        self._connection.close()
        self._socket.close()


class Socket:
    """A WebSocket (RFC 6455) that is read frame by frame."""

    def __init__(self, url: str, path: str, headers: dict[str, str] | None = None) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=DEADLINE_S)
        self._file = self._socket.makefile("rb")
        told = {
            "Host": parts.netloc,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        } | (headers or {})
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self.status = int(self._file.readline().split()[1])
        self.headers = http.client.parse_headers(self._file)

    def read(self) -> dict[str, Any] | int:
        """The next event, or the code it is closed with."""
        while True:
            first, length = self._file.read(2)
            if length == 126:
                (length,) = struct.unpack(">H", self._file.read(2))
            body = self._file.read(length)
            if first & 15 == 1:
                return dict(json.loads(body))
            if first & 15 == 8:
                return int.from_bytes(body[:2])

    def send(self, raw: bytes) -> None:
        """Send bytes as they are, frames or not."""
        self._socket.sendall(raw)

    def close(self) -> None:
        """Leave, without a word."""
        self._file.close()
        self._socket.close()
