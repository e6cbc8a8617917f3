"""OpenAI's Realtime transcription, with a scripted worker behind it."""

from __future__ import annotations

import base64
import json
import math

import pytest
from scripted_worker import utterance, words
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect
from talking import talking, until_closed
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from gateway.access.keys import add_key
from shared.live.updates import SegmentEnd, SpeechEdge

PATH = "/v1/realtime?intent=transcription"
SECOND = b"\x00\x40" * 24_000
APPEND, COMMIT, CLEAR = (f"input_audio_buffer.{what}" for what in ("append", "commit", "clear"))
STARTED, STOPPED = (f"input_audio_buffer.speech_{what}" for what in ("started", "stopped"))
COMMITTED, CLEARED = "input_audio_buffer.committed", "input_audio_buffer.cleared"
ADDED, CREATED = "conversation.item.added", "conversation.item.created"
DELTA, COMPLETED, FAILED = (
    f"conversation.item.input_audio_transcription.{what}"
    for what in ("delta", "completed", "failed")
)
BETA = {"headers": {"OpenAI-Beta": "realtime=v1"}}


def append(pcm=SECOND):
    return {"type": APPEND, "audio": base64.b64encode(pcm).decode()}


def update(event_id=None, **heard):
    value = {"type": "transcription", "audio": {"input": heard}}
    event = {"type": "session.update", "session": value}
    return event | ({"event_id": event_id} if event_id else {})


def send(socket, *events):
    for event in events:
        socket.send_text(event if isinstance(event, str) else json.dumps(event))


def until(socket, *kinds):
    """Every event up to the first of each of these kinds."""
    found, left = [], list(kinds)
    while left:
        found.append(socket.receive_json())
        if found[-1]["type"] in left:
            left.remove(found[-1]["type"])
    return found


def kinds_of(events):
    return [event["type"] for event in events]


def only(events, kind):
    return [event for event in events if event["type"] == kind]


def error_of(socket):
    return until(socket, "error")[-1]["error"]


def after(*steps):
    """
    A script that gives updates once so many seconds of audio have come.

    The resampler holds back some samples, so a second of audio ends a little early.
    """
    left = list(steps)

    def script(_claimed, entry):
        found = []
        while left and entry.pcm and entry.end >= (left[0][0] - 0.05) * 16_000:
            found += left.pop(0)[1:]
        return found

    return script


def say_two():
    """Two utterances in the third second of audio."""
    return after((3, utterance("Good morning, Ann.", 0.25), utterance("It is over.", 2.0, 3)))


def edge(at, *, is_start):
    return SpeechEdge(at=at, is_start=is_start)


def on_flush(*said):
    """Gives the words of each flush, as (text, start), when the last of so many is asked for."""

    def script(claimed, entry):
        if entry.ask == "flush" and claimed.n_flushed == len(said):
            heard = [word for text, start in said for word in words(text, start)]
            end = SegmentEnd(n_words=len(heard), reason="flush")
            return [{"committed": tuple(heard), "ends": (end,)}]
        return [{"flushed": 0}]

    return script


def test_an_utterance_begins_ends_and_gets_its_text(serve, start_worker):
    start_worker(say_two())
    with talking(serve(), PATH) as socket:
        send(socket, update(transcription={"model": "whisper-1", "language": "en"}))
        send(socket, append(), append(), append())
        told = until(socket, COMPLETED) + until(socket, COMPLETED)

    assert kinds_of(told) == [
        "session.created", "session.updated",
        STARTED, STOPPED, COMMITTED, ADDED, CREATED, DELTA, COMPLETED,
        STARTED, STOPPED, COMMITTED, ADDED, CREATED, DELTA, COMPLETED,
    ]  # fmt: skip
    first, second = only(told, COMPLETED)
    assert (first["transcript"], second["transcript"]) == ("Good morning, Ann.", "It is over.")
    assert [event["delta"] for event in only(told, DELTA)] == ["Good morning, Ann.", "It is over."]
    assert first["usage"] == {"type": "duration", "seconds": 0.75}
    started, stopped = only(told, STARTED)[0], only(told, STOPPED)[0]
    assert (started["audio_start_ms"], stopped["audio_end_ms"]) == (250, 1000)
    committed = only(told, COMMITTED)
    assert [event["previous_item_id"] for event in committed] == [None, first["item_id"]]
    assert {started["item_id"], stopped["item_id"], committed[0]["item_id"]} == {first["item_id"]}
    assert only(told, CREATED)[1]["item"]["id"] == second["item_id"] != first["item_id"]
    assert len({event["event_id"] for event in told}) == len(told)


def test_words_come_as_they_are_certain(serve, start_worker):
    end = SegmentEnd(n_words=2, reason="utterance")
    start, stop = edge(0.0, is_start=True), edge(1.5, is_start=False)
    first = {"committed": words("Good", 0.0), "edges": (start,)}
    last = {"committed": words("morning.", 1.0), "ends": (end,), "edges": (stop,)}
    start_worker(after((1, first), (2, last)))
    with talking(serve(), PATH) as socket:
        send(socket, append())
        before = until(socket, DELTA)
        send(socket, append())
        rest = until(socket, COMPLETED)

    assert COMPLETED not in kinds_of(before) and before[-1]["delta"] == "Good"
    assert [event["delta"] for event in only(rest, DELTA)] == [" morning."]
    assert rest[-1]["transcript"] == "Good morning."


def test_a_client_may_commit_by_itself(serve, start_worker):
    worker = start_worker(on_flush(("so far", 0.25)))
    with talking(serve(), PATH) as socket:
        send(socket, update(turn_detection=None), append(), {"type": COMMIT})
        told = until(socket, COMPLETED)

    assert kinds_of(told)[2:] == [COMMITTED, ADDED, CREATED, DELTA, COMPLETED]
    assert told[-1]["transcript"] == "so far"
    assert told[-1]["usage"]["seconds"] == pytest.approx(1.0, abs=0.05)
    assert told[1]["session"]["audio"]["input"]["turn_detection"] is None
    assert worker.seen[0].request.endpoint_s == 10.0


def test_words_of_two_commits_are_divided_by_their_audio(serve, start_worker):
    start_worker(on_flush(("one two", 0.25), ("three four", 1.25)))
    with talking(serve(), PATH) as socket:
        send(socket, update(turn_detection=None))
        send(socket, append(), {"type": COMMIT}, append(), {"type": COMMIT})
        told = until(socket, COMPLETED, COMPLETED)

    assert [event["transcript"] for event in only(told, COMPLETED)] == ["one two", "three four"]
    assert [event["item_id"] for event in only(told, COMPLETED)] == [
        event["item_id"] for event in only(told, COMMITTED)
    ]


def test_a_commit_of_next_to_nothing_is_refused(serve, start_worker):
    start_worker(on_flush(("a", 0.0)))
    with talking(serve(), PATH) as socket:
        send(socket, update(turn_detection=None), {"type": COMMIT, "event_id": "mine"})
        first = error_of(socket)
        send(socket, append(SECOND[:2400]), {"type": COMMIT})
        second = error_of(socket)
        send(socket, append(), {"type": COMMIT})
        assert until(socket, COMPLETED)[-1]["transcript"] == "a"

    assert first["code"] == second["code"] == "input_audio_buffer_commit_empty"
    assert first["event_id"] == "mine"
    assert "100 ms" in second["message"] and "50 ms" in second["message"]


def test_what_is_cleared_is_not_written(serve, start_worker):
    start_worker(on_flush(("forget this. Keep this.", 0.25)))
    with talking(serve(), PATH) as socket:
        send(socket, update(turn_detection=None))
        # Of four words of a quarter of a second each, the first two are in the part cleared.
        send(socket, append(SECOND[: 24_000 * 2 * 3 // 4]), {"type": CLEAR})
        send(socket, append(), {"type": COMMIT})
        told = until(socket, COMPLETED)

    assert CLEARED in kinds_of(told)
    assert told[-1]["transcript"] == "Keep this."


def test_clearing_while_somebody_speaks_leaves_no_item_without_its_end(serve, start_worker):
    end = SegmentEnd(n_words=5, reason="utterance")
    said, stop = words("No. No. No. No. Yes.", 0.0), edge(1.5, is_start=False)
    last = {"committed": said, "ends": (end,), "edges": (stop,)}
    start_worker(after((1, {"edges": (edge(0.0, is_start=True),)}), (2, last)))
    with talking(serve(), PATH) as socket:
        send(socket, append())
        until(socket, STARTED)
        send(socket, {"type": CLEAR}, append())
        told = until(socket, COMPLETED)

    assert kinds_of(told)[0] == CLEARED and STOPPED in kinds_of(told)
    assert told[-1]["transcript"] == "Yes."


def test_speech_without_words_ends_with_an_empty_text(serve, start_worker):
    edges = (edge(0.2, is_start=True), edge(0.7, is_start=False))
    start_worker(after((1, {"edges": edges})))
    with talking(serve(), PATH) as socket:
        send(socket, append())
        told = until(socket, COMPLETED)

    assert kinds_of(told)[1:] == [STARTED, STOPPED, COMMITTED, ADDED, CREATED, COMPLETED]
    assert told[-1]["transcript"] == ""


def test_what_is_said_after_a_commit_is_an_item_of_its_own(serve, start_worker):
    ends = [SegmentEnd(n_words=n, reason=why) for n, why in ((1, "flush"), (2, "utterance"))]
    last = {
        "committed": words("second.", 1.25), "ends": ends[1:],
        "edges": (edge(1.5, is_start=False),),
    }  # fmt: skip
    heard = after((1, {"edges": (edge(0.0, is_start=True),)}), (2, last))

    def script(claimed, entry):
        if entry.ask == "flush":
            return [{"committed": words("First", 0.25), "ends": ends[:1]}]
        return heard(claimed, entry)

    start_worker(script)
    with talking(serve(), PATH) as socket:
        send(socket, append(), {"type": COMMIT})
        first = until(socket, COMPLETED)
        send(socket, append())
        second = until(socket, COMPLETED)

    assert [first[-1]["transcript"], second[-1]["transcript"]] == ["First", "second."]
    assert kinds_of(second)[0] == STARTED and STOPPED in kinds_of(second)
    assert first[-1]["item_id"] != second[-1]["item_id"]


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


def test_words_come_with_probabilities_if_they_are_asked_for(serve, start_worker):
    start_worker(say_two())
    session = {"type": "transcription", "include": ["item.input_audio_transcription.logprobs"]}
    with talking(serve(), PATH) as socket:
        send(socket, {"type": "session.update", "session": session})
        send(socket, append(), append(), append())
        told = until(socket, COMPLETED)

    found = told[-1]["logprobs"]
    assert [entry["token"] for entry in found] == [" Good", " morning,", " Ann."]
    assert found[0]["logprob"] == pytest.approx(math.log(0.9))
    assert bytes(found[0]["bytes"]).decode() == " Good"
    assert only(told, DELTA)[0]["logprobs"] == found


def test_items_of_a_session_that_is_lost_have_failed(serve, start_worker):
    start = {"edges": (edge(0.0, is_start=True),)}
    start_worker(after((1, start, {"is_last": True, "problem": "the model is gone"})))
    with talking(serve(), PATH) as socket:
        send(socket, append())
        told, code = until_closed(socket)

    assert told[-2]["type"] == FAILED
    assert told[-2]["error"]["message"] == told[-1]["error"]["message"] == "the model is gone"
    assert told[-2]["item_id"] == only(told, STARTED)[0]["item_id"]
    assert code == 1000


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
