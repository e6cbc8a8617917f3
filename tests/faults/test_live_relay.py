"""gateway.live is killed in the midst of live sessions: who has named theirs goes on with it."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from redis import Redis
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

sys.path.insert(0, str(Path(__file__).parent))

from live_callers import RATE_HZ, read_speech  # noqa: E402
from real_speech import n_errors  # noqa: E402
from waiting import wait_until  # noqa: E402

from cli.stack import Stack  # noqa: E402
from shared.keys import LIVE_AUDIO, LIVE_SAID, LIVE_SESSION  # noqa: E402
from shared.live.wire import LIVE_TTL_S  # noqa: E402
from shared.workers import Workers  # noqa: E402

pytestmark = [pytest.mark.faults]

FREED_S = 180
"""Three times what is promised, since other tests may run."""

CUT_S = 15
Segments = list[dict[str, Any]]


def open_session(opened: ExitStack, stack: Stack, name: str | None = None) -> ClientConnection:
    """A connection of WhisperLive's protocol, whose session is ready."""
    query = f"?session={name}" if name else ""
    url = stack.live_url.replace("http", "ws", 1) + f"/{query}"
    socket = opened.enter_context(connect(url, open_timeout=60))
    socket.send(json.dumps({"uid": "u", "language": "en", "task": "transcribe"}))
    ready = json.loads(socket.recv(60))
    assert ready["message"] == "SERVER_READY", ready
    return socket


def speak(socket: ClientConnection, pcm: bytes) -> None:
    """Send samples, faster than they are spoken."""
    for at in range(0, len(pcm), 6_400):
        socket.send((np.frombuffer(pcm[at : at + 6_400], "<i2") / 32768).astype("<f4").tobytes())


def completed(socket: ClientConnection, n_least: int) -> Segments:
    """The segments that will not change, once there are so many."""
    while True:
        found = json.loads(socket.recv(120)).get("segments", [])
        done = [segment for segment in found if segment["completed"]]
        if len(done) >= n_least:
            return done


def all_segments(socket: ClientConnection) -> Segments:
    """All segments, when the server closes the connection."""
    said = [json.loads(message) for message in socket]
    return next(m["segments"] for m in reversed(said) if "segments" in m)


def test_a_named_session_goes_on_after_the_relay_was_killed_and_the_slot_of_another_is_freed(
    start_stack: Callable[..., Stack], real_models: Path, tmp_path: Path
) -> None:
    stack = start_stack(
        env={
            "LONGHAND_DEFAULT_MODEL": "tiny.en",
            "LONGHAND_MODELS_DIR": str(real_models),
            "LONGHAND_LIVE_SESSIONS": "2",
        }
    )
    pcm, truth = read_speech(tmp_path)
    cut = CUT_S * RATE_HZ * 2
    name = secrets.token_hex(16)
    with ExitStack() as opened:
        redis = opened.enter_context(Redis.from_url(stack.redis_url))
        named, other = open_session(opened, stack, name), open_session(opened, stack)
        keys = [key.decode() for key in redis.scan_iter(LIVE_SESSION.of("*"))]
        [left] = [k.rpartition(":")[2] for k in keys if not k.endswith(name)]
        for socket in (named, other):
            speak(socket, pcm[:cut])
        before = completed(named, 1)
        wait_until(lambda: redis.exists(LIVE_AUDIO.of(left)), 60, "both have audio")
        wait_until(lambda: Workers(redis).live()[0].n_live == 2, 30, "the worker tells of both")

        stack.kill(stack.live)
        for socket in (named, other):
            with pytest.raises(ConnectionClosed):
                while True:
                    socket.recv(30)
        stack.start_live()
        wait_until(lambda: _is_up(stack), 60, "the relay is back")
        again = open_session(opened, stack, name)
        speak(again, pcm[cut:])
        again.send(b"END_OF_AUDIO")
        found = all_segments(again)
        wait_until(lambda: Workers(redis).live()[0].n_live == 0, FREED_S, "its slot is free")
        lives = [redis.ttl(key.of(left)) for key in (LIVE_SESSION, LIVE_AUDIO, LIVE_SAID)]

    assert before and found[: len(before)] == before
    starts = [float(segment["start"]) for segment in found]
    assert starts == sorted(starts)
    text = "".join(segment["text"] for segment in found)
    assert n_errors(truth, text) <= 0.2 * len(truth.split()), text
    # -2 is a key that is gone already.
    assert all(life == -2 or 0 < life <= LIVE_TTL_S for life in lives), lives


def _is_up(stack: Stack) -> bool:
    try:
        return httpx2.get(f"{stack.live_url}/health/ready", timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False
