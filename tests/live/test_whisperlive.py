"""WhisperLive's protocol, with a scripted worker behind it."""

from __future__ import annotations

import json
import struct

import pytest
from redis import Redis
from scripted_worker import utterance, words
from talking import talking, until_closed
from waiting import wait_until
from websockets.sync.client import connect

from cli.redis_server import free_port
from gateway.access.keys import add_key
from shared.jobs.figures import Figures

HELLO = {"uid": "u1", "language": "en", "task": "transcribe", "model": "demo"}


def floats(n_samples, value=0.5):
    return struct.pack("<f", value) * n_samples


def say_two(claimed, entry):
    if entry.ask == "end":
        return [utterance("It is over", 1.0, claimed.n_words)]
    if entry.pcm and entry.end == 16_000:
        return [utterance("Good morning", 0.25), {"tail": words("it is", 1.0)}]
    return []


def test_a_client_gets_segments_with_times_as_text(serve, start_worker):
    worker = start_worker(say_two)
    with talking(serve()) as socket:
        socket.send_text(json.dumps(HELLO))
        ready = json.loads(socket.receive_text())
        socket.send_bytes(floats(16_000))
        claimed = worker.session()
        socket.send_bytes(b"END_OF_AUDIO")
        said, code = until_closed(socket)

    assert ready == {"uid": "u1", "message": "SERVER_READY", "backend": "faster_whisper"}
    assert said[0]["segments"] == [
        {"start": "0.250", "end": "0.750", "text": " Good morning", "completed": True}
    ]
    assert said[1]["segments"][-1] == {
        "start": "1.000", "end": "1.500", "text": " it is", "completed": False,
    }  # fmt: skip
    assert [s["text"] for s in said[-1]["segments"]] == [" Good morning", " It is over"]
    assert all(segment["completed"] for segment in said[-1]["segments"])
    assert claimed.pcm == struct.pack("<h", 16384) * 16_000
    assert code == 1000


def test_only_the_last_segments_are_sent(serve, start_worker):
    start_worker(say_two)
    with talking(serve()) as socket:
        socket.send_text(json.dumps(HELLO | {"send_last_n_segments": 1}))
        socket.send_bytes(floats(16_000))
        socket.send_bytes(b"END_OF_AUDIO")
        said, _ = until_closed(socket)

    assert all(len(message["segments"]) == 1 for message in said[1:])
    assert said[-1]["segments"][0]["text"] == " It is over"


def test_words_come_with_their_times_if_asked_for(serve, start_worker):
    start_worker(say_two)
    with talking(serve()) as socket:
        socket.send_text(json.dumps(HELLO | {"word_timestamps": True}))
        socket.send_bytes(floats(16_000))
        socket.send_bytes(b"END_OF_AUDIO")
        said, _ = until_closed(socket)

    assert said[1]["segments"][0]["words"][1] == {
        "word": " morning", "start": "0.500", "end": "0.750", "probability": 0.9,
    }  # fmt: skip


def test_a_detected_language_is_told_once(serve, start_worker):
    def script(claimed, entry):
        return [{"language": "fr", "language_probability": 0.8}] if entry.pcm else []

    start_worker(script)
    with talking(serve()) as socket:
        socket.send_text(json.dumps(HELLO | {"language": None}))
        socket.send_bytes(floats(16_000))
        socket.send_bytes(b"END_OF_AUDIO")
        said, _ = until_closed(socket)

    assert [m for m in said if "language" in m] == [
        {"uid": "u1", "language": "fr", "language_prob": 0.8}
    ]


@pytest.mark.parametrize(
    ("audio_format", "one"), [("int16", struct.pack("<h", 16384)), ("uint8", b"\xc0")]
)
def test_other_formats_of_samples_mean_the_same_audio(serve, start_worker, audio_format, one):
    worker = start_worker()
    with talking(serve()) as socket:
        socket.send_text(json.dumps(HELLO | {"audio_format": audio_format}))
        socket.send_bytes(one * 16_000)
        socket.receive_text()
        claimed = worker.session()
        socket.send_bytes(b"END_OF_AUDIO")
        until_closed(socket)

    assert claimed.pcm == struct.pack("<h", 16384) * 16_000


def test_what_the_client_wants_reaches_the_worker(serve, start_worker):
    worker = start_worker()
    wanted = {"initial_prompt": "Dr. Ng", "hotwords": "Longhand", "model": "large-v99"}
    with talking(serve()) as socket:
        socket.send_text(json.dumps(HELLO | wanted))
        socket.receive_text()
        request = worker.session().request

    assert (request.prompt, request.hotwords) == ("Dr. Ng", "Longhand")
    assert request.model == "demo"  # the site's default, for a name that is not known


@pytest.mark.parametrize(
    ("hello", "problem"),
    [
        ("garbage", "the message: Invalid JSON"),
        (json.dumps({"language": "en"}), "uid: Field required"),
        (json.dumps(HELLO | {"language": "klingon"}), "language: language 'klingon' is not known"),
        (json.dumps(HELLO | {"audio_format": "mp3"}), "audio_format: Input should be"),
        (json.dumps(HELLO | {"send_last_n_segments": 0}), "send_last_n_segments: Input should"),
    ],
)
def test_a_bad_handshake_is_an_error_for_that_client_alone(serve, start_worker, hello, problem):
    start_worker()
    client = serve()
    with talking(client) as good, talking(client) as bad:
        bad.send_text(hello)
        [answer], code = until_closed(bad)
        good.send_text(json.dumps(HELLO))
        ready = json.loads(good.receive_text())

    assert answer["status"] == "ERROR"
    assert answer["message"].startswith(problem)
    assert code == 1008
    assert ready["message"] == "SERVER_READY"


def test_a_full_site_says_how_long_to_wait(serve, start_worker):
    start_worker(capacity=1)
    client = serve()
    with talking(client) as first, talking(client) as second:
        first.send_text(json.dumps(HELLO))
        first.receive_text()
        second.send_text(json.dumps(HELLO | {"uid": "u2"}))
        said, code = until_closed(second)

    assert said == [{"uid": "u2", "status": "WAIT", "message": 1}]
    assert code == 1013


def test_without_a_worker_the_client_waits_too(serve):
    with talking(serve()) as socket:
        socket.send_text(json.dumps(HELLO))
        said, code = until_closed(socket)

    assert said == [{"uid": "u1", "status": "WAIT", "message": 1}]
    assert code == 1013


def test_a_session_that_has_lasted_too_long_is_disconnected(serve, start_worker):
    start_worker()
    with talking(serve(live_max_session_s=1)) as socket:
        socket.send_text(json.dumps(HELLO))
        said, code = until_closed(socket)

    assert said[-1] == {"uid": "u1", "message": "DISCONNECT"}
    assert code == 1008


def test_audio_that_stops_becomes_text_though_nobody_ends_it(serve, start_worker):
    def script(claimed, entry):
        return [utterance("Good morning", 0.25)] if entry.ask == "flush" else []

    start_worker(script)
    with talking(serve()) as socket:
        socket.send_text(json.dumps(HELLO))
        socket.send_bytes(floats(16_000))
        socket.receive_text()
        said = json.loads(socket.receive_text())

    assert said["segments"][0]["text"] == " Good morning"


def test_a_site_with_keys_lets_nobody_in_without_one(serve, start_worker, tmp_path):
    start_worker()
    key = add_key(tmp_path / "keys.json", "ann")
    client = serve(auth="keys", api_keys_file=tmp_path / "keys.json")
    with talking(client) as socket:
        [refused], code = until_closed(socket)
    with talking(client, f"/?token={key}") as socket:
        socket.send_text(json.dumps(HELLO))
        by_query = json.loads(socket.receive_text())
    with talking(client, "/", headers={"Authorization": f"Bearer {key}"}) as socket:
        socket.send_text(json.dumps(HELLO))
        by_header = json.loads(socket.receive_text())

    with talking(client, "/", subprotocols=["bearer", key]) as socket:
        chosen = socket.accepted_subprotocol
        socket.send_text(json.dumps(HELLO))
        by_subprotocol = json.loads(socket.receive_text())

    assert refused["status"] == "ERROR"
    assert code == 4401
    assert (by_subprotocol["message"], chosen) == ("SERVER_READY", "bearer")
    assert by_query["message"] == by_header["message"] == "SERVER_READY"


def test_a_client_who_names_the_session_goes_on_after_a_broken_connection(serve, start_worker):
    start_worker(say_two)
    client = serve()
    where = "/?session=mine-0123456789abcdef"
    with talking(client, where) as socket:
        socket.send_text(json.dumps(HELLO))
        socket.send_bytes(floats(16_000))
        socket.receive_text()
        first = json.loads(socket.receive_text())
    with talking(client, where) as socket:
        socket.send_text(json.dumps(HELLO))
        socket.send_bytes(b"END_OF_AUDIO")
        said, code = until_closed(socket)

    assert first["segments"][0]["text"] == " Good morning"
    assert [s["text"] for s in said[-1]["segments"]] == [" Good morning", " It is over"]
    assert code == 1000


def test_a_second_port_serves_the_same(start_live, start_worker):
    start_worker()
    port = free_port()
    start_live(whisperlive_port=port)
    with connect(f"ws://127.0.0.1:{port}/") as socket:
        socket.send(json.dumps(HELLO))
        ready = json.loads(socket.recv(timeout=20))

    assert ready["message"] == "SERVER_READY"


def test_connections_that_end_with_the_program_are_counted(start_live, start_worker, redis_url):
    start_worker(say_two)
    program = start_live()
    with connect(program.url.replace("http", "ws")) as socket:
        socket.send(json.dumps(HELLO))
        assert json.loads(socket.recv(30))["message"] == "SERVER_READY"
        program.stop()
    with Redis.from_url(redis_url) as redis:
        assert Figures(redis).live_ended() == {"stopped": 1.0}


def test_why_connections_end_is_counted(serve, start_worker, redis_url):
    worker = start_worker(say_two)
    client = serve()
    with talking(client) as socket:
        socket.send_text(json.dumps(HELLO))
        socket.receive_text()
        socket.send_bytes(b"END_OF_AUDIO")
        until_closed(socket)
    with talking(client) as socket:
        socket.send_text(json.dumps(HELLO))
        socket.receive_text()
        worker.session()
    with Redis.from_url(redis_url) as redis:
        figures = Figures(redis)
        wanted = {"done": 1.0, "disconnected": 1.0}
        wait_until(lambda: figures.live_ended() == wanted, 20, "both are counted")
