"""Callers who never read what they are sent: they are told, then disconnected, and cost little."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import uvicorn
from process_tree import status_bytes
from scripted_worker import utterance
from waiting import wait_until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from cli.redis_server import free_port
from gateway.live.connections import PatientWebSocket, listen

pytestmark = pytest.mark.faults

SECOND = b"\x00\x40" * 16_000
HELLO = json.dumps({"uid": "u1", "language": "en", "task": "transcribe", "model": "demo"})
SOCKETS = {
    "whisperlive": ("/", [HELLO, struct.pack("<f", 0.5) * 16_000]),
    "asr": ("/asr?pcm_input=true", [SECOND]),
    "deepgram": ("/v1/listen?encoding=linear16&interim_results=true", [SECOND]),
    "raw": ("/v1/audio/transcriptions", [SECOND]),
}
N_UPDATES = 1_000
MOST_BYTES = 100_000_000
"""For six callers: each may leave 512 updates unread, which are some megabytes here."""

_LISTENS = "0A"
"""A state of /proc/net/tcp."""


def talk_on_and_on(claimed, entry):
    if entry.ask or entry.end != 16_000:
        return
    for n in range(N_UPDATES):
        yield utterance("a word that is rather long " * 2, n * 10.0, claimed.n_words)


def n_connections(port):
    """How many connections a program holds that it took by a listener of this machine."""
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(
        line[1].endswith(f":{port:04X}") and line[3] != _LISTENS and line[9] != "0"
        for line in lines
    )


def unread(port):
    """A connection whose own side takes next to nothing before it is read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(30)
    client.connect(("127.0.0.1", port))
    return client


def open_mute(stack, port, name):
    """A WebSocket that is not read."""
    path, sent = SOCKETS[name]
    mute = stack.enter_context(
        connect(
            f"ws://127.0.0.1:{port}{path}", sock=unread(port), compression=None,
            max_queue=1, ping_interval=None, close_timeout=0.1,
        )
    )  # fmt: skip
    for frame in sent:
        mute.send(frame)
    return mute


def open_stream(stack, port):
    """A body that goes on, whose answer is not read."""
    mute = stack.enter_context(unread(port))
    head = "POST /transcribe/stream?encoding=linear16 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    mute.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n7d00\r\n" + SECOND + b"\r\n")


def open_wyoming(stack, port):
    """Questions without end, whose answers are not read."""
    mute = stack.enter_context(unread(port))
    mute.settimeout(3)
    with suppress(TimeoutError):
        while True:  # until the other side takes no more of them
            mute.sendall(b'{"type": "describe"}\n' * 100)


def test_callers_who_never_read_are_told_and_dropped_and_cost_little(start_live, start_worker):
    worker = start_worker(talk_on_and_on, capacity=10)
    wyoming = free_port()
    live = start_live(wyoming_port=wyoming)
    port, pid = int(live.url.rpartition(":")[2]), live.child.pid
    before = status_bytes(pid, "VmRSS")
    with ExitStack() as stack:
        late = open_mute(stack, port, "deepgram")
        for name in SOCKETS:
            open_mute(stack, port, name)
        open_stream(stack, port)
        open_wyoming(stack, wyoming)
        assert (n_connections(port), n_connections(wyoming)) == (len(SOCKETS) + 2, 1)

        wait_until(lambda: len(worker.seen) == len(SOCKETS) + 2, 30, "all have sessions")
        first = worker.seen[0].id
        wait_until(lambda: first not in worker.sessions, 60, "the first session is over")
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                late.recv(timeout=30)
        wait_until(lambda: not worker.sessions, 60, "their sessions are over")
        wait_until(lambda: n_connections(port) + n_connections(wyoming) == 0, 90, "none is left")

    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1013, "you read too slowly")
    assert status_bytes(pid, "VmHWM") - before < MOST_BYTES
    assert live.child.poll() is None
    assert "Traceback" not in live.log.read_text()


class Waiting(PatientWebSocket):
    """Counts how often an answer to a ping was awaited in vain."""

    n_unanswered = 0

    def keepalive_timeout(self):
        type(self).n_unanswered += 1
        super().keepalive_timeout()


@contextmanager
def served(app, *, ask_s=0.1):
    """An application on a port of its own, which asks every so many seconds who is there."""

    async def only_sockets(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await app(receive, send)

    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(only_sockets, ws=Waiting, ws_ping_interval=ask_s, ws_ping_timeout=ask_s,
                            lifespan="off", log_config=None)  # fmt: skip
    server = uvicorn.Server(config)
    serving = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    serving.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    serving.join(30)


def test_a_caller_whose_audio_waits_is_not_missed_for_a_late_answer():
    """Their answers to pings stand behind audio that nobody has taken yet."""
    may_read, n_bytes = threading.Event(), 0

    async def app(receive, send):
        nonlocal n_bytes
        while not may_read.is_set():
            await asyncio.sleep(0.05)
        while (message := await receive())["type"] == "websocket.receive":
            n_bytes += len(message["bytes"])

    with (
        served(app) as port,
        connect(f"ws://127.0.0.1:{port}/", ping_interval=None, compression=None) as caller,
    ):
        before = Waiting.n_unanswered
        sending = threading.Thread(target=lambda: [caller.send(SECOND) for _ in range(300)])
        sending.start()
        wait_until(lambda: Waiting.n_unanswered >= before + 3, 30, "pings without an answer")
        may_read.set()
        sending.join(30)
        wait_until(lambda: n_bytes == 300 * len(SECOND), 30, "all of the audio")


def test_a_caller_who_answers_nothing_at_all_is_left():
    left = threading.Event()

    async def app(receive, send):
        while (await receive())["type"] != "websocket.disconnect":
            pass
        left.set()

    with served(app) as port, unread(port) as silent:
        silent.sendall(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        assert left.wait(30)


def test_the_reason_of_a_close_is_behind_what_was_not_read():
    is_closed = threading.Event()

    async def app(receive, send):
        async def tell():
            while True:
                await send({"type": "websocket.send", "text": "x" * 10_000})

        with suppress(TimeoutError):
            await asyncio.wait_for(tell(), 1)
        with suppress(TimeoutError):
            closing = {"type": "websocket.close", "code": 1013, "reason": "too slow"}
            await asyncio.wait_for(send(closing), 0.1)
        is_closed.set()

    with (
        served(app, ask_s=60) as port,
        connect(
            f"ws://127.0.0.1:{port}/", sock=unread(port), compression=None,
            max_queue=1, ping_interval=None,
        ) as caller,
    ):  # fmt: skip
        assert is_closed.wait(30)
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                caller.recv(timeout=30)

    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1013, "too slow")
