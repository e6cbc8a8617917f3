"""WebSockets and listeners for callers who do not read, or who send faster than they are heard."""

from __future__ import annotations

import socket
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_BACKLOG = 1024

_UNREAD_MS = 20_000
"""A caller whose side has taken nothing of what was sent for so long is disconnected."""

_RECEIVED_BYTES = 1 << 17
"""
What the kernel may hold of a caller's audio, which it doubles: eight seconds. With its usual
megabytes, a caller's ping would wait behind minutes of their audio.
"""


class PatientWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, which tells slow readers why they leave, and lets fast senders stay."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._has_come = False

    def data_received(self, data: bytes) -> None:
        """Note that the caller is there."""
        self._has_come = True
        super().data_received(data)

    def send_keepalive_ping(self) -> None:
        """Ask whether the caller is there."""
        self._has_come = False
        super().send_keepalive_ping()

    def keepalive_timeout(self) -> None:
        """
        Disconnect a caller who has not answered a ping, unless the answer may yet be found.

        It comes after audio which they have sent before, and that waits until a worker is ready.
        """
        if (self.read_paused or self._has_come) and self.ping_timeout is not None:
            self._has_come = False
            self.pong_timer = self.loop.call_later(self.ping_timeout, self.keepalive_timeout)
        else:
            super().keepalive_timeout()

    async def send(self, message: Any) -> None:
        """Send a message, when the caller has read what came before; a close, at once."""
        if message["type"] == "websocket.close":
            # Whoever reads again finds it behind the rest. Nothing is sent after it.
            self.writable.set()
        await super().send(message)


def listen(host: str, port: int) -> socket.socket:
    """
    A listener for TCP.

    Raises:
        OSError: The address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit these.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVED_BYTES)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Else a connection that we close stays until all that was written is read.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
