"""gateway.live in the process of a test, and WebSockets to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from scripted_worker import ScriptedWorker
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect
from waiting import wait_until

from gateway.live.app import create_live
from gateway.settings import GatewaySettings


@pytest.fixture
def serve(redis_url: str, storage_dir: Path) -> Iterator[Callable[..., TestClient]]:
    """A function that starts gateway.live in this process, with settings, and gives a client."""
    opened: list[TestClient] = []

    def start(**changed: Any) -> TestClient:
        settings: dict[str, Any] = {"redis_url": redis_url, "storage_dir": storage_dir}
        # Starlette's test client calls the address `testserver`.
        settings |= {"default_model": "demo", "live_host": "0.0.0.0"}
        app = create_live(GatewaySettings(**settings | changed))
        opened.append(TestClient(app))
        opened[-1].__enter__()
        wait_until(lambda: app.state.tail.is_up, 20, "events are read")
        return opened[-1]

    yield start
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def start_worker(redis_url: str) -> Iterator[Callable[..., ScriptedWorker]]:
    """Start a scripted worker; its arguments are those of `ScriptedWorker`."""
    started: list[ScriptedWorker] = []

    def start(*arguments: Any, **more: Any) -> ScriptedWorker:
        started.append(ScriptedWorker(redis_url, *arguments, **more))
        return started[-1]

    yield start
    for worker in started:
        worker.stop()


@contextmanager
def talking(client: TestClient, path: str = "/", **more: Any) -> Iterator[WebSocketTestSession]:
    """A WebSocket; its end, which the test client cancels while the server closes, is no error."""
    with suppress(CancelledError), client.websocket_connect(path, **more) as socket:
        yield socket


def until_closed(socket: WebSocketTestSession) -> tuple[list[dict[str, Any]], int]:
    """Every message, and the code of the close."""
    found = []
    try:
        while True:
            found.append(json.loads(socket.receive_text()))
    except WebSocketDisconnect as closed:
        return found, closed.code
