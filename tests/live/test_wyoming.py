"""Wyoming, with a scripted worker behind it."""

from __future__ import annotations

import json
import socket

import pytest
from scripted_worker import utterance

from cli.redis_server import free_port

SECOND = b"\x00\x40" * 16_000
FORM = {"rate": 16_000, "width": 2, "channels": 1}


def say_two(claimed, entry):
    if entry.ask == "end":
        return [utterance("It is over", 1.0, claimed.n_words)]
    return [utterance("Good morning", 0.25)] if entry.end == 16_000 else []


class Caller:
    """A client of Wyoming on a socket."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._file = self._socket.makefile("rb")

    def send(self, kind, data=None, payload=b""):
        head = {"type": kind, "data": data or {}, "payload_length": len(payload)}
        self._socket.sendall(json.dumps(head).encode() + b"\n" + payload)

    def send_bytes(self, data):
        self._socket.sendall(data)

    def receive(self):
        head = json.loads(self._file.readline())
        return head["type"], json.loads(self._file.read(head["data_length"]))

    def is_left(self):
        return self._file.read() == b""

    def close(self):
        self._file.close()
        self._socket.close()


@pytest.fixture
def call(start_live):
    """A function that connects to a program that serves Wyoming."""
    port, opened = free_port(), []
    start_live(wyoming_port=port)

    def connect():
        opened.append(Caller(port))
        return opened[-1]

    yield connect
    for caller in opened:
        caller.close()


def test_home_assistant_finds_models_and_gets_transcripts_on_one_connection(call, start_worker):
    worker = start_worker(say_two)
    caller = call()
    caller.send("describe")
    kind, info = caller.receive()
    [program] = info["asr"]
    languages = {model["name"]: model["languages"] for model in program["models"]}

    assert kind == "info"
    assert list(languages) == ["demo", "base", "tiny.en"]
    assert languages["tiny.en"] == ["en"]
    assert {"de", "zh"} < set(languages["base"])

    for _ in range(2):
        caller.send("transcribe", {"name": "base", "language": "de"})
        caller.send("audio-start", FORM)
        for n in range(0, len(SECOND), 2_001):
            caller.send("audio-chunk", FORM, SECOND[n : n + 2_001])
        caller.send("audio-stop")

        assert caller.receive() == (
            "transcript", {"text": "Good morning It is over", "language": "de"}
        )  # fmt: skip
    assert [(s.request.model, s.request.language, s.pcm) for s in worker.seen] == [
        ("base", "de", SECOND)
    ] * 2


def test_other_forms_of_audio_are_resampled(call, start_worker):
    worker = start_worker()
    caller = call()
    caller.send("audio-start", {"rate": 44_100, "width": 2, "channels": 2})
    caller.send("audio-chunk", {}, b"\x00\x40" * 88_200)
    caller.send("audio-stop")

    assert caller.receive() == ("transcript", {"text": ""})
    assert abs(len(worker.seen[0].pcm) - 32_000) < 400


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        ([("audio-start", {"rate": 5, "width": 2, "channels": 1})], "sample_rate is 5; it must be"),
        ([("audio-start", {"rate": 16_000, "width": 4})], "width is 4; it must be 1 or 2"),
        (
            [("transcribe", {"language": "klingon"}), ("audio-start", FORM)],
            "language: language 'klingon' is not known",
        ),
        ([("transcribe", {"language": ["de"]}), ("audio-start", FORM)], "language: Input should"),
        ([("transcribe", {"language": 7}), ("audio-start", FORM)], "language: Input should"),
    ],
)
def test_an_error_is_told_and_the_connection_goes_on(call, start_worker, events, problem):
    start_worker()
    caller = call()
    for kind, data in events:
        caller.send(kind, data)
    kind, error = caller.receive()
    caller.send("ping", {"text": "a"})

    assert (kind, error["code"]) == ("error", "invalid_request")
    assert error["text"].startswith(problem)
    assert caller.receive() == ("pong", {"text": "a"})


def test_what_is_no_event_ends_the_connection_with_an_error(call):
    nested = b'{"type": ' + b"[" * 60_000 + b"\n"
    huge = b'{"type": "a", "payload_length": 9999999}\n'
    for data in (b"garbage\n", b"[]\n", b"{}\n", huge, nested, b"\0" * 99_999):
        caller = call()
        caller.send_bytes(data)

        assert caller.receive()[1]["code"] == "invalid_request"
        assert caller.is_left()


def test_samples_may_come_one_by_one(call, start_worker):
    worker = start_worker()
    caller = call()
    caller.send("audio-start", FORM)
    for n in range(300):
        caller.send("audio-chunk", FORM, SECOND[n : n + 1])
    caller.send("audio-stop")

    assert caller.receive() == ("transcript", {"text": ""})
    assert worker.seen[0].pcm == SECOND[:300]


def test_a_client_who_says_nothing_more_is_told_that_the_session_is_over(start_live, start_worker):
    port = free_port()
    start_live(wyoming_port=port, live_max_session_s=1)
    start_worker()
    caller = Caller(port)
    caller.send("audio-start", FORM)
    kind, error = caller.receive()
    caller.send("ping", {"text": "a"})
    after = caller.receive()
    caller.close()

    assert (kind, error["code"]) == ("error", "busy")
    assert "LONGHAND_LIVE_MAX_SESSION_S" in error["text"]
    assert after == ("pong", {"text": "a"})


def test_without_a_worker_an_error_comes(call):
    caller = call()
    caller.send("audio-start", FORM)

    assert caller.receive()[1]["code"] == "busy"


@pytest.mark.parametrize(
    ("host", "chosen", "is_served"),
    [
        ("127.0.0.1", {}, True),
        ("0.0.0.0", {}, False),
        ("0.0.0.0", {"wyoming_without_keys": True}, True),
        ("0.0.0.0", {"auth": "off"}, True),
    ],
)
def test_a_site_with_keys_serves_wyoming_to_this_machine_alone_unless_told_otherwise(
    start_live, tmp_path, host, chosen, is_served
):
    (tmp_path / "keys.json").write_text("[]")
    port = free_port()
    settings = {"auth": "keys", "api_keys_file": tmp_path / "keys.json", "live_host": host}
    live = start_live(wyoming_port=port, **settings | chosen)

    with socket.socket() as probe:
        assert (probe.connect_ex(("127.0.0.1", port)) == 0) is is_served
    assert ("Wyoming is not served" in live.log.read_text()) is not is_served
