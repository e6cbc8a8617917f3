"""gateway.live ends in the midst of sessions: callers notice at once, and go on at the next one."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from contextlib import ExitStack

import pytest
from redis import Redis
from scripted_worker import utterance
from waiting import wait_until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from cli.redis_server import free_port
from shared.keys import LIVE_SESSION, LIVE_SESSIONS
from shared.live.wire import GATEWAY_TTL_S, LIVE_TTL_S
from worker.sessions.host import Patience

pytestmark = pytest.mark.faults

NAME = "mine-0123456789abcdef"
HELLO = {"uid": "u1", "language": "en", "task": "transcribe", "model": "demo"}
TENTH = struct.pack("<f", 0.5) * 1600
SECOND = b"\x00\x40" * 16_000
AT_ONCE_S = 10
"""Long for a machine whose other programs are busy; an idle limit or a ping would take longer."""


def say_each_entry(claimed, entry):
    """Each piece of audio is a word, and a segment."""
    n = claimed.n_words
    return [utterance(f"w{n}", n * 0.25, n)] if entry.pcm else []


class Speaker:
    """A WhisperLive client which speaks until it is disconnected, and notes the segments."""

    def __init__(self, url, stack):
        self._socket = stack.enter_context(
            connect(f"{url.replace('http', 'ws')}/?session={NAME}", ping_interval=None)
        )
        self._socket.send(json.dumps(HELLO | {"send_last_n_segments": 1000}))
        self.segments = []
        self.code, self.left_at = None, 0.0
        self.n_sent = 0
        self._threads = [
            threading.Thread(target=run, daemon=True) for run in (self._speak, self._listen)
        ]
        self.is_done = threading.Event()
        for thread in self._threads:
            thread.start()

    def _speak(self):
        try:
            while not self.is_done.wait(0.02):
                self._socket.send(TENTH)
                self.n_sent += 1
            self._socket.send(b"END_OF_AUDIO")
        except ConnectionClosed:
            pass

    def _listen(self):
        try:
            while True:
                self.segments = json.loads(self._socket.recv()).get("segments", self.segments)
        except ConnectionClosed as closed:
            self.code = closed.rcvd.code if closed.rcvd else 1006
            self.left_at = time.monotonic()

    def join(self):
        for thread in self._threads:
            thread.join(60)

    @property
    def words(self):
        return [segment["text"].strip() for segment in self.segments]


@pytest.fixture
def stack():
    with ExitStack() as stack:
        yield stack


def numbered(n):
    return [f"w{i}" for i in range(n)]


@pytest.mark.parametrize(("end", "code"), [("kill", 1006), ("terminate", 1012)])
def test_a_caller_goes_on_at_another_relay_without_a_word_lost_or_said_twice(
    start_live, start_worker, stack, redis_url, end, code
):
    worker = start_worker(say_each_entry)
    first = start_live()
    before = Speaker(first.url, stack)
    wait_until(lambda: len(before.words) >= 10, 30, "words")
    is_open = dict(worker.sessions)
    getattr(first.child, end)()
    ended_at = time.monotonic()
    before.join()

    assert list(is_open) == [NAME]  # it happened in the midst
    assert before.n_sent > 10
    assert before.code == code
    assert before.left_at - ended_at < AT_ONCE_S
    with Redis.from_url(redis_url) as redis:
        left = [key for key in redis.keys("longhand:live:*") if redis.ttl(key) < 0]
        assert redis.exists(LIVE_SESSION.of(NAME))
        assert left in ([], [str(LIVE_SESSIONS).encode()])

    n_known = worker.sessions[NAME].n_words
    again = Speaker(start_live().url, stack)
    wait_until(lambda: len(again.words) >= n_known + 10, 30, "more words")
    again.is_done.set()
    again.join()

    assert before.words == numbered(len(before.words))
    assert again.words == numbered(worker.seen[0].n_words)
    assert len(again.words) > len(before.words)
    assert len(worker.seen) == 1
    assert again.code == 1000


def test_keys_of_a_session_expire_and_its_worker_leaves_it_within_a_minute():
    """A worker renews the keys until it leaves: tests/worker/sessions, tests/faults."""
    assert GATEWAY_TTL_S + Patience(stall_s=1).orphan_s < 60
    assert LIVE_TTL_S <= 120


def test_everybody_is_told_that_the_service_restarts(start_live, start_worker, stack):
    worker = start_worker(capacity=10)
    port = free_port()
    live = start_live(wyoming_port=port)
    url = live.url.replace("http", "ws")
    host, _, live_port = live.url.removeprefix("http://").partition(":")
    body = stack.enter_context(socket.create_connection((host, int(live_port)), timeout=30))
    head = f"POST /transcribe/stream?encoding=linear16 HTTP/1.1\r\nHost: {host}\r\n"
    body.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n7d00\r\n" + SECOND + b"\r\n")
    answer = stack.enter_context(body.makefile("rb"))
    status = answer.readline()  # after five seconds, before any line
    sockets = {}
    for path, hello in (
        ("/", json.dumps(HELLO)),
        ("/asr?pcm_input=true", SECOND),
        ("/v1/listen?encoding=linear16", SECOND),
        ("/v1/audio/transcriptions", SECOND),
        ("/v1/realtime?intent=transcription", json.dumps(
            {"type": "input_audio_buffer.append", "audio": "AAAA" * 4000})),
    ):  # fmt: skip
        sockets[path] = stack.enter_context(connect(url + path, ping_interval=None))
        sockets[path].send(hello)
    home = stack.enter_context(socket.create_connection((host, port), timeout=30))
    home.sendall(b'{"type": "audio-start", "data": {"rate": 16000, "width": 2, "channels": 1}}\n')
    wait_until(lambda: len(worker.seen) == len(sockets) + 2, 30, "all have sessions")
    told = stack.enter_context(home.makefile("rb"))
    assert live.stop() == 0

    codes = {}
    for path, each in sockets.items():
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                each.recv(timeout=30)
        codes[path] = closed.value.rcvd.code
    assert status.startswith(b"HTTP/1.1 200")
    assert codes == dict.fromkeys(sockets, 1012)
    assert b"the service restarts" in answer.read()
    assert b"the service restarts" in told.read()
    assert "Traceback" not in live.log.read_text()
    assert "never retrieved" not in live.log.read_text()
