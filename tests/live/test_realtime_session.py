"""What a client of Realtime may ask for, and what it is told otherwise."""

from __future__ import annotations

import json

import pytest
from realtime_client import (
    APPEND,
    BETA,
    COMMIT,
    COMMITTED,
    COMPLETED,
    CREATED,
    DELTA,
    PATH,
    SECOND,
    STARTED,
    STOPPED,
    append,
    error_of,
    kinds_of,
    on_flush,
    say_two,
    send,
    until,
    update,
)
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect
from talking import talking, until_closed
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from gateway.access.keys import add_key


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        (update(format={"type": "audio/mp3"}), "session.audio.input.format.type"),
        (update(format=[]), "session.audio.input.format"),
        (update(format={"type": "audio/pcm", "rate": 5}), "sample_rate"),
        (update(transcription={"model": "no-such-model"}),
         "session.audio.input.transcription.model"),
        (update(transcription={"language": "klingon"}),
         "session.audio.input.transcription.language"),
        (update(turn_detection={"type": "magic"}), "session.audio.input.turn_detection.type"),
        ({"type": "session.update", "session": []}, "session"),
        ({"type": "session.update", "session": {"type": "realtime"}}, "session.type"),
        ({"type": "transcription_session.update", "session": {"input_audio_format": []}},
         "session.input_audio_format"),
        ({"type": "transcription_session.update",
          "session": {"input_audio_transcription": {"model": 3}}},
         "session.input_audio_transcription.model"),
        ({"type": "session.update", "session": {"include": ["everything"]}}, "session.include.0"),
        (update(turn_detection={"type": "server_vad", "silence_duration_ms": True}),
         "session.audio.input.turn_detection.silence_duration_ms"),
        (update(format={"type": "audio/pcm", "rate": "24000"}), "session.audio.input.format.rate"),
        ({"type": APPEND}, "audio"),
        ({"type": APPEND, "audio": "§"}, "audio"),
        ({"type": APPEND, "audio": 7}, "audio"),
        ({"type": "response.create"}, "type"),
        ("[" * 100_000, "type"),
        ("no json", "type"),
        ("[]", "type"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_the_connection_goes_on(serve, start_worker, sent, param):
    start_worker(say_two())
    with talking(serve(), PATH) as socket:
        send(socket, sent)
        refused = error_of(socket)
        send(socket, append(), append(), append())
        told = until(socket, COMPLETED)

    assert refused["param"] == param, refused
    assert refused["message"] and refused["type"] in ("invalid_request_error",)
    assert told[-1]["transcript"] == "Good morning, Ann."


def test_a_binary_frame_is_refused_and_the_connection_goes_on(serve, start_worker):
    start_worker(say_two())
    with talking(serve(), PATH) as socket:
        socket.send_bytes(SECOND)
        refused = error_of(socket)
        send(socket, append(), append(), append())

        assert refused["param"] == "type"
        assert until(socket, COMPLETED)[-1]["transcript"] == "Good morning, Ann."


def test_an_append_that_is_too_long_ends_its_own_connection_only(start_live, start_worker):
    start_worker(on_flush(("all of it", 0.25)))
    url = start_live().url.replace("http", "ws") + PATH
    with connect(url) as first, connect(url) as second:
        second.send(json.dumps(append(SECOND * 22)))
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                second.recv(timeout=60)
        # 16 s are as much as fits into a frame.
        for event in (update(turn_detection=None), append(SECOND * 16), {"type": COMMIT}):
            first.send(json.dumps(event))
        told = [json.loads(first.recv(timeout=60))]
        while told[-1]["type"] not in (COMPLETED, "error"):
            told.append(json.loads(first.recv(timeout=60)))

    assert closed.value.rcvd.code == 1009
    assert told[-1]["transcript"] == "all of it"
    assert told[-1]["usage"]["seconds"] == pytest.approx(16, abs=0.1)


def test_an_id_that_is_no_text_is_given_back(start_live):
    with connect(start_live().url.replace("http", "ws") + PATH) as socket:
        socket.send(r'{"type": "nothing", "event_id": "\ud800"}')
        told = [json.loads(socket.recv(timeout=60)) for _ in range(2)]

    assert told[1]["error"]["event_id"] == "\ud800"


@pytest.mark.parametrize(
    ("sent", "names"),
    [
        (update(noise_reduction={"type": "near_field"}), ["audio.input.noise_reduction"]),
        (update(turn_detection={"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300}),
         ["audio.input.turn_detection.prefix_padding_ms",
          "audio.input.turn_detection.threshold"]),
        (update(turn_detection={"type": "server_vad", "eagerness": "low"}),
         ["audio.input.turn_detection.eagerness"]),
        (update(turn_detection={"type": "semantic_vad", "silence_duration_ms": 900}),
         ["audio.input.turn_detection.silence_duration_ms"]),
        (update(format={"type": "audio/pcma", "rate": 16_000}), ["audio.input.format.rate"]),
        (update(transcription={"languages": ["en", "de"]}),
         ["audio.input.transcription.languages"]),
        ({"type": "session.update", "session": {"audio": {"output": {"voice": "a"}}, "tools": []}},
         ["tools", "audio.output"]),
        ({"type": "transcription_session.update", "session": {
            "modalities": ["text"], "input_audio_noise_reduction": {"type": "far_field"},
            "turn_detection": {"type": "server_vad", "threshold": 0.5}}},
         ["modalities", "input_audio_noise_reduction", "turn_detection.threshold"]),
    ],
)  # fmt: skip
def test_of_what_has_no_effect_the_client_is_warned(serve, start_worker, sent, names):
    start_worker(say_two())
    with talking(serve(), PATH) as socket:
        send(socket, sent)
        warned = until(socket, sent["type"] + "d")[-1]["warnings"]

    assert [warning["param"] for warning in warned] == [f"session.{name}" for name in names]
    assert all(warning["param"] in warning["message"] for warning in warned)


def test_who_asks_only_for_what_there_is_gets_no_warning(serve, start_worker):
    start_worker(say_two())
    vad = {"type": "server_vad", "silence_duration_ms": 500, "create_response": False}
    heard = {
        "format": {"type": "audio/pcmu", "rate": 8_000}, "noise_reduction": None,
        "transcription": {"model": "whisper-1", "languages": ["en"], "prompt": "Ann"},
        "turn_detection": vad,
    }  # fmt: skip
    with talking(serve(), PATH) as socket:
        send(socket, update(**heard))
        told = until(socket, "session.updated")[-1]

    assert "warnings" not in told


def test_options_reach_the_worker(serve, start_worker):
    worker = start_worker(say_two())
    heard = {
        "format": {"type": "audio/pcmu"},
        "transcription": {
            "model": "base", "language": "English", "prompt": "Ann and Bo", "delay": "xhigh",
            "keywords": ["Longhand", "WhisperX"],
        },
        "turn_detection": {"type": "server_vad", "silence_duration_ms": 800},
    }  # fmt: skip
    with talking(serve(), PATH) as socket:
        send(socket, update(**heard))
        shown = until(socket, "session.updated")[-1]["session"]
        send(socket, append(b"\xff" * 8_000))
        request = worker.session().request

    assert shown["audio"]["input"]["format"] == {"type": "audio/pcmu"}
    assert shown["audio"]["input"]["transcription"]["model"] == "base"
    assert shown["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 800
    assert (request.model, request.language, request.prompt) == ("base", "en", "Ann and Bo")
    assert (request.hotwords, request.delay) == ("Longhand WhisperX", "high")
    assert request.endpoint_s == 0.8


def test_audio_is_read_in_the_form_that_was_asked_for(serve, start_worker):
    lengths = {}
    for form, second in (
        ({"type": "audio/pcm"}, SECOND),
        ({"type": "audio/pcm", "rate": 16_000}, b"\x00\x40" * 16_000),
        ({"type": "audio/pcma"}, b"\xd5" * 8_000),
    ):
        worker = start_worker(on_flush(("a", 0.0)))
        with talking(serve(), PATH) as socket:
            send(socket, update(format=form, turn_detection=None), append(second))
            send(socket, {"type": COMMIT})
            until(socket, COMPLETED)
            lengths[json.dumps(form)] = len(worker.session().pcm) / 32_000
        worker.stop()

    assert all(length == pytest.approx(1.0, abs=0.05) for length in lengths.values()), lengths


def test_what_was_said_before_stays_unless_it_is_said_anew(serve, start_worker):
    worker = start_worker(say_two())
    with talking(serve(), PATH) as socket:
        send(socket, update(transcription={"language": "en", "prompt": "Ann"}))
        send(socket, update(transcription=None, turn_detection={"type": "semantic_vad"}))
        send(socket, update(transcription={"language": None}), append())
        request = worker.session().request

    assert (request.language, request.prompt, request.endpoint_s) == (None, "Ann", 0.5)


def test_a_session_is_not_changed_after_its_first_audio(serve, start_worker):
    worker = start_worker(say_two())
    asked = update(transcription={"language": "en"})
    with talking(serve(), PATH) as socket:
        send(socket, asked, append())
        worker.session()
        send(socket, asked, update(transcription={"language": "de"}))
        told = until(socket, "error")

    assert kinds_of(told).count("session.updated") == 2
    assert told[-1]["error"]["param"] == "session"


def test_the_beta_has_its_own_names(serve, start_worker):
    worker = start_worker(say_two())
    session = {
        "input_audio_format": "pcm16",
        "input_audio_transcription": {"model": "gpt-4o-transcribe", "language": "en"},
        "turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
    }
    with talking(serve(), PATH, **BETA) as socket:
        send(socket, {"type": "transcription_session.update", "session": session})
        send(socket, append(), append(), append())
        told = until(socket, COMPLETED)

    assert kinds_of(told) == [
        "transcription_session.created", "transcription_session.updated",
        STARTED, STOPPED, COMMITTED, CREATED, DELTA, COMPLETED,
    ]  # fmt: skip
    shown = told[1]["session"]
    assert (shown["input_audio_format"], shown["turn_detection"]["type"]) == ("pcm16", "server_vad")
    assert worker.seen[0].request.endpoint_s == 0.3


def test_who_sends_no_audio_is_told_and_disconnected(serve, start_worker):
    start_worker(say_two())
    with talking(serve(live_idle_s=1), PATH) as socket:
        send(socket, update(turn_detection=None))
        told, code = until_closed(socket)

    assert "LONGHAND_LIVE_IDLE_S" in told[-1]["error"]["message"]
    assert code == 1011


def test_without_a_worker_the_first_audio_is_refused(serve):
    with talking(serve(), PATH) as socket:
        send(socket, append())
        told, code = until_closed(socket)

    assert "no running worker takes live sessions" in told[-1]["error"]["message"]
    assert code == 1013


@pytest.mark.parametrize(
    ("query", "status", "param"),
    [("intent=conversation", 400, "intent"), ("model=no-such-model", 404, "model")],
)
def test_who_asks_for_something_else_is_refused(serve, start_worker, query, status, param):
    start_worker(say_two())
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        serve().websocket_connect(f"/v1/realtime?{query}"),
    ):
        pass

    assert refused.value.status_code == status
    assert refused.value.json()["error"]["param"] == param


@pytest.mark.parametrize(
    ("query", "model"),
    [("model=base", "base"), ("model=gpt-realtime-2", "demo"), ("model=whisper-1", "demo"),
     ("model=gpt-realtime&transcription_model=tiny.en", "tiny.en")],
)  # fmt: skip
def test_the_address_may_name_the_model(serve, start_worker, query, model):
    worker = start_worker(say_two())
    with talking(serve(), f"/v1/realtime?{query}") as socket:
        send(socket, append())
        shown = until(socket, "session.created")[-1]["session"]
        found = worker.session().request.model

    assert found == shown["audio"]["input"]["transcription"]["model"] == model


def test_a_key_may_come_as_openais_subprotocol(serve, start_worker, tmp_path):
    start_worker(say_two())
    key = add_key(tmp_path / "keys.json", "ann")
    client = serve(auth="keys", api_keys_file=tmp_path / "keys.json")
    offered = ["realtime", f"openai-insecure-api-key.{key}"]
    with talking(client, PATH, subprotocols=offered) as socket:
        created = socket.receive_json()["type"]
        chosen = socket.accepted_subprotocol
    with (
        pytest.raises((WebSocketDenialResponse, WebSocketDisconnect)) as refused,
        client.websocket_connect(PATH, subprotocols=["realtime", "openai-insecure-api-key.no"]),
    ):
        pass

    assert (created, chosen) == ("session.created", "realtime")
    assert refused.value.status_code == 401
    assert refused.value.json()["error"]["type"]
