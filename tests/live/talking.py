"""WebSockets of starlette's test client."""

from __future__ import annotations

import json
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress

from starlette.websockets import WebSocketDisconnect


@contextmanager
def talking(client, path="/", **more):
    """A WebSocket; its end, which the test client cancels while the server closes, is no error."""
    with suppress(CancelledError), client.websocket_connect(path, **more) as socket:
        yield socket


def until_closed(socket):
    """Every message, and the code of the close."""
    found = []
    try:
        while True:
            found.append(json.loads(socket.receive_text()))
    except WebSocketDisconnect as closed:
        return found, closed.code
