"""Deepgram's live protocol, with a scripted worker behind it."""

from __future__ import annotations

import hashlib
import json

import pytest
from scripted_worker import utterance, words
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect
from talking import talking, until_closed

from gateway.access.keys import add_key
from shared.live.updates import SegmentEnd, SpeechEdge

SECOND = b"\x00\x40" * 16_000
RAW = "encoding=linear16&sample_rate=16000"
CLOSE = json.dumps({"type": "CloseStream"})


def say_two(claimed, entry):
    """Two utterances; between them, words that may still change."""
    if entry.ask == "end":
        return [utterance("It is over.", 1.0, claimed.n_words)]
    if entry.pcm and entry.end == 16_000:
        return [utterance("Good morning,", 0.25), {"tail": words("it is", 1.0)}]
    return []


def listen(client, query, *sent, path="/v1/listen", **more):
    """What a client is sent who sends these frames, and the code of the close."""
    with talking(client, f"{path}?{query}", **more) as socket:
        for frame in sent:
            if isinstance(frame, str):
                socket.send_text(frame)
            else:
                socket.send_bytes(frame)
        return until_closed(socket)


def results(said):
    return [message for message in said if message["type"] == "Results"]


def transcripts(said):
    return [r["channel"]["alternatives"][0]["transcript"] for r in results(said)]


@pytest.mark.promise("S1-20", "S1-23", "S1-24", "S1-25")
def test_a_client_gets_metadata_results_and_a_clean_close(serve, start_worker):
    start_worker(say_two)
    said, code = listen(serve(), f"model=nova-2&language=en&{RAW}", SECOND, CLOSE)

    assert [message["type"] for message in said] == ["Metadata", "Results", "Results", "Metadata"]
    assert said[1] == {
        "type": "Results",
        "channel_index": [0, 1],
        "duration": 0.5,
        "start": 0.25,
        "is_final": True,
        "speech_final": True,
        "from_finalize": False,
        "channel": {
            "alternatives": [
                {
                    "transcript": "Good morning,",
                    "confidence": 0.9,
                    "words": [
                        {"word": "good", "start": 0.25, "end": 0.5, "confidence": 0.9,
                         "punctuated_word": "Good"},
                        {"word": "morning", "start": 0.5, "end": 0.75, "confidence": 0.9,
                         "punctuated_word": "morning,"},
                    ],
                }
            ]
        },
        "metadata": said[1]["metadata"],
    }  # fmt: skip
    assert said[1]["metadata"]["request_id"] == said[0]["request_id"]
    assert said[1]["metadata"]["model_info"]["name"] == "demo"
    assert said[0]["models"] == [said[1]["metadata"]["model_uuid"]]
    assert (said[-1]["duration"], said[-1]["channels"]) == (1.0, 1)
    assert said[-1]["sha256"] == hashlib.sha256(SECOND).hexdigest()
    assert transcripts(said) == ["Good morning,", "It is over."]
    assert code == 1000


@pytest.mark.promise("S1-22")
def test_interim_results_come_if_they_are_asked_for(serve, start_worker):
    start_worker(say_two)
    client = serve()
    said, _ = listen(client, f"interim_results=true&punctuate=true&whatever=1&{RAW}", SECOND, CLOSE)
    interim = [r for r in results(said) if not r["is_final"]]

    assert [r["channel"]["alternatives"][0]["transcript"] for r in interim] == ["it is"]
    assert not interim[0]["speech_final"]


def test_text_may_come_without_capitals_and_punctuation(serve, start_worker):
    start_worker(say_two)
    said, _ = listen(serve(), f"punctuate=false&{RAW}", SECOND, CLOSE)

    assert transcripts(said) == ["good morning", "it is over"]
    assert "punctuated_word" not in results(said)[0]["channel"]["alternatives"][0]["words"][0]


@pytest.mark.promise("S1-23")
def test_finalize_brings_what_was_said_even_if_that_is_nothing(serve, start_worker):
    def script(claimed, entry):
        if entry.ask == "flush" and claimed.n_flushed == 1:
            said = words("so far", 0.0)
            ending = SegmentEnd(n_words=2, reason="flush")
            return [{"committed": said, "ends": (ending,)}]
        return []

    start_worker(script)
    finalize = json.dumps({"type": "Finalize"})
    said, _ = listen(serve(), RAW, SECOND, finalize, finalize, CLOSE)

    assert transcripts(said) == ["so far", ""]
    assert [r["from_finalize"] for r in results(said)] == [True, True]


def test_each_finalize_is_answered_if_the_worker_does_two_at_once(serve, start_worker):
    def script(claimed, entry):
        return [{"flushed": 2 if entry.ask == "end" else 0}]

    start_worker(script)
    finalize = json.dumps({"type": "Finalize"})
    said, _ = listen(serve(), RAW, SECOND, finalize, finalize, CLOSE)

    assert [r["from_finalize"] for r in results(said)] == [True, True]


@pytest.mark.promise("S1-26", "S1-27")
def test_the_ends_of_utterances_and_the_beginnings_of_speech_are_told_if_asked_for(
    serve, start_worker
):
    def script(claimed, entry):
        if entry.pcm and entry.end == 16_000:
            return [{"edges": (SpeechEdge(at=0.25, is_start=True),)}, utterance("Hello", 0.25)]
        return []

    start_worker(script)
    client = serve()
    asked = f"interim_results=true&utterance_end_ms=1000&vad_events=true&{RAW}"
    said, _ = listen(client, asked, SECOND, SECOND, CLOSE)
    plain, _ = listen(client, RAW, SECOND, SECOND, CLOSE)

    kinds = [message["type"] for message in said]
    assert kinds.index("Results") < kinds.index("UtteranceEnd")
    assert kinds.count("UtteranceEnd") == 1
    ended = next(m for m in said if m["type"] == "UtteranceEnd")
    assert ended == {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 0.5}
    started = [m for m in said if m["type"] == "SpeechStarted"]
    assert started[0] == {"type": "SpeechStarted", "channel": [0, 1], "timestamp": 0.25}
    assert {message["type"] for message in plain} == {"Metadata", "Results"}


def test_an_utterance_of_which_no_word_was_certain_has_no_end(serve, start_worker):
    def script(claimed, entry):
        if entry.ask == "end":
            return [utterance("Hello", 2.0)]
        return [{"tail": words("um", 0.1) if entry.end == 16_000 else ()}] if entry.pcm else []

    start_worker(script)
    asked = f"interim_results=true&utterance_end_ms=1000&{RAW}"
    said, code = listen(serve(), asked, SECOND, SECOND, CLOSE)

    assert transcripts(said) == ["um", "Hello"]
    assert "UtteranceEnd" not in {message["type"] for message in said}
    assert code == 1000


def test_what_is_asked_reaches_the_worker(serve, start_worker):
    worker = start_worker()
    asked = (
        "keyterm=Longhand&keywords=Ng:2&endpointing=800&language=fr&encoding=mulaw&sample_rate=8000"
    )
    with talking(serve(), f"/v1/listen?{asked}") as socket:
        socket.receive_text()
        request = worker.session().request
        socket.send_bytes(b"\xff" * 8000)
        claimed = worker.session()
        socket.send_text(CLOSE)
        until_closed(socket)

    assert (request.language, request.hotwords) == ("fr", "Longhand Ng")
    assert request.endpoint_s == 0.8
    assert abs(len(claimed.pcm) - 32_000) < 640


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("encoding=mp3", "encoding is 'mp3'"),
        (f"{RAW}&channels=7", "channels is 7"),
        (f"{RAW}&utterance_end_ms=1000", "utterance_end_ms needs interim_results=true"),
        (f"{RAW}&interim_results=true&utterance_end_ms=10", "utterance_end_ms: Input should be"),
        (f"{RAW}&endpointing=soon", "endpointing is 'soon'"),
        (f"{RAW}&endpointing={'9' * 5000}", "endpointing is '999"),
        (f"{RAW}&multichannel=true", "multichannel is not possible"),
        (f"{RAW}&redact=pci", "redact is not possible"),
        (f"{RAW}&language=klingon", "language: language 'klingon' is not known"),
    ],
)
def test_a_bad_query_is_refused_in_deepgrams_form(serve, start_worker, query, problem):
    start_worker()
    with pytest.raises(WebSocketDenialResponse) as refused, talking(serve(), f"/v1/listen?{query}"):
        pass

    assert refused.value.status_code == 400
    assert refused.value.json()["err_msg"].startswith(problem)
    assert refused.value.json()["err_code"] == "INVALID_QUERY_PARAMETER"


def test_without_a_worker_the_client_is_refused_and_told_when_to_try_again(serve):
    with pytest.raises(WebSocketDenialResponse) as refused, talking(serve(), "/v1/listen"):
        pass

    assert refused.value.status_code == 503
    assert refused.value.headers["Retry-After"]


@pytest.mark.promise("S1-28")
def test_a_key_comes_as_a_token_or_as_a_subprotocol(serve, start_worker, tmp_path):
    start_worker()
    key = add_key(tmp_path / "keys.json", "ann")
    client = serve(auth="keys", api_keys_file=tmp_path / "keys.json")
    with pytest.raises(WebSocketDenialResponse) as refused, talking(client, "/v1/listen"):
        pass
    by_header, _ = listen(client, RAW, CLOSE, headers={"Authorization": f"Token {key}"})
    by_protocol, _ = listen(client, RAW, CLOSE, subprotocols=["token", key])
    open_site, _ = listen(serve(), RAW, CLOSE, headers={"Authorization": "Token unused"})

    assert (refused.value.status_code, refused.value.json()["err_code"]) == (401, "INVALID_AUTH")
    for said in (by_header, by_protocol, open_site):
        assert [message["type"] for message in said] == ["Metadata", "Metadata"]


def test_a_message_that_is_not_known_is_an_error_and_the_rest_goes_on(serve, start_worker):
    start_worker(say_two)
    odd = ("garbage", '["Finalize"]', '{"type": []}', "[" * 100_000)
    said, code = listen(serve(), RAW, *odd, SECOND, CLOSE)

    assert [m["type"] for m in said[:5]] == ["Metadata", *["Error"] * 4]
    assert said[1]["message"].startswith("'garbage' is not known; send audio, KeepAlive")
    assert transcripts(said) == ["Good morning,", "It is over."]
    assert code == 1000


@pytest.mark.promise("C-18")
def test_an_empty_frame_ends_the_stream(serve, start_worker):
    start_worker(say_two)
    said, code = listen(serve(), RAW, SECOND, b"")

    assert transcripts(said) == ["Good morning,", "It is over."]
    assert code == 1000


def test_a_client_who_sends_nothing_is_told_why_they_are_closed(serve, start_worker):
    start_worker()
    with talking(serve(live_idle_s=1), f"/v1/listen?{RAW}") as socket:
        socket.receive_text()
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()

    assert closed.value.code == 1011
    assert "LONGHAND_LIVE_IDLE_S" in closed.value.reason
