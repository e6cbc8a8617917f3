"""`python -m gateway.live` as it runs, and what writes the events it reads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from starlette.testclient import TestClient

sys.path.insert(0, str(Path(__file__).parent))

from journal import Journal  # noqa: E402
from listeners import Listener  # noqa: E402
from opened_sessions import run  # noqa: E402
from scripted_worker import ScriptedWorker  # noqa: E402
from waiting import wait_until  # noqa: E402

from gateway.live.app import create_live  # noqa: E402
from gateway.settings import GatewaySettings  # noqa: E402
from shared.settings import CHECKOUT  # noqa: E402

__all__ = ["run"]


@dataclass
class Program:
    """`python -m gateway` or `python -m gateway.live`, as it runs."""

    child: subprocess.Popen[bytes]
    url: str
    log: Path

    def stop(self, deadline_s: float = 20) -> int:
        """Send SIGTERM and return its exit status."""
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(deadline_s)


@pytest.fixture
def start_program(
    redis_url: str, storage_dir: Path, tmp_path: Path
) -> Iterator[Callable[..., Program]]:
    """A function that starts a module on a free port; its other arguments are settings."""
    started: list[subprocess.Popen[bytes]] = []

    def start(module: str, **changed: object) -> Program:
        own = {"redis_url": redis_url, "storage_dir": storage_dir, "default_model": "demo"}
        chosen = own | {"port": 0, "live_port": 0} | changed
        env = {f"LONGHAND_{name.upper()}": str(value) for name, value in chosen.items()}
        log = tmp_path / f"{module}-{len(started)}.log"
        with log.open("wb") as out:
            child = subprocess.Popen(
                [sys.executable, "-m", module],
                cwd=CHECKOUT,
                env={"PATH": os.environ["PATH"]} | env,
                stderr=out,
            )
        started.append(child)
        said = "listens on "
        wait_until(lambda: said in log.read_text() or child.poll() is not None, 30, "listening")
        assert child.poll() is None, log.read_text()
        return Program(child, log.read_text().partition(said)[2].split()[0], log)

    yield start
    for child in started:
        child.kill()
        child.wait()


@pytest.fixture
def start_live(start_program: Callable[..., Program]) -> Callable[..., Program]:
    """A function that starts gateway.live, which reads events when it returns."""

    def start(**changed: object) -> Program:
        program = start_program("gateway.live", **changed)
        wait_until(lambda: "events are read" in program.log.read_text(), 20, "reading")
        return program

    return start


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    """A function that makes a listener, who leaves when the test ends."""
    made: list[Listener] = []

    def start(*arguments: Any, **more: Any) -> Listener:
        made.append(Listener(*arguments, **more))
        return made[-1]

    yield start
    for listener in made:
        listener.hang_up()


@pytest.fixture
def journal(redis_url: str, storage_dir: Path) -> Iterator[Journal]:
    """A writer of jobs and their events."""
    with Redis.from_url(redis_url) as redis:
        yield Journal(redis, storage_dir)


@pytest.fixture
def serve(redis_url: str, storage_dir: Path) -> Iterator[Callable[..., TestClient]]:
    """A function that starts gateway.live in this process, with settings, and gives a client."""
    opened: list[TestClient] = []

    def start(**changed: Any) -> TestClient:
        settings: dict[str, Any] = {
            "redis_url": redis_url,
            "storage_dir": storage_dir,
            "default_model": "demo",
        }
        settings["live_host"] = "0.0.0.0"  # Starlette's test client calls it `testserver`
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
