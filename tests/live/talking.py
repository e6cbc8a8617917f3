"""A WebSocket of starlette's test client."""

from __future__ import annotations

from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress


@contextmanager
def talking(client, path="/", **more):
    """A WebSocket; its end, which the test client cancels while the server closes, is no error."""
    with suppress(CancelledError), client.websocket_connect(path, **more) as socket:
        yield socket
