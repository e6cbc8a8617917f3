"""faster-whisper-server's WebSocket, with a scripted worker behind it."""

from __future__ import annotations

import json

import pytest
from scripted_worker import utterance, words
from starlette.websockets import WebSocketDisconnect
from talking import talking
from waiting import wait_until

PATH = "/v1/audio/transcriptions"
SECOND = b"\x00\x40" * 16_000


def say_two(claimed, entry):
    if entry.ask == "end":
        return [utterance("It is over", 1.0, claimed.n_words)]
    if entry.end == 16_000:
        return [utterance("Good morning", 0.25), {"tail": words("it is", 1.0)}]
    return []


def until_closed(socket):
    """Every message as text, and the code of the close."""
    found = []
    try:
        while True:
            found.append(socket.receive_text())
    except WebSocketDisconnect as closed:
        return found, closed.code


def talk(client, query="", pieces=(SECOND,)):
    with talking(client, f"{PATH}?{query}") as socket:
        for piece in pieces:
            socket.send_bytes(piece)
        return until_closed(socket)


@pytest.mark.promise("S3-08")
def test_the_text_so_far_comes_with_every_new_word_and_a_client_who_stops_gets_the_rest(
    serve, start_worker
):
    worker = start_worker(say_two)
    said, code = talk(serve(), "model=demo&language=en&temperature=0&vad_filter=true")

    assert [json.loads(text) for text in said] == [
        {"text": "Good morning"},
        {"text": "Good morning It is over"},
    ]
    assert code == 1000
    wait_until(lambda: not worker.sessions, 10, "the session is gone")


def test_the_format_may_be_bare_text(serve, start_worker):
    start_worker(say_two)
    said, _ = talk(serve(), "response_format=text")

    assert said == ["Good morning", "Good morning It is over"]


def test_the_format_may_have_words_and_segments(serve, start_worker):
    start_worker(say_two)
    said, _ = talk(serve(), "response_format=verbose_json")
    last = json.loads(said[-1])

    assert last["words"][1] == {"word": " morning", "start": 0.5, "end": 0.75, "probability": 0.9}
    assert last["segments"] == [
        {"id": 0, "start": 0.25, "end": 0.75, "text": "Good morning"},
        {"id": 1, "start": 1.0, "end": 1.75, "text": "It is over"},
    ]
    assert (last["task"], last["duration"]) == ("transcribe", 1.0)


def test_samples_may_be_cut_anywhere(serve, start_worker):
    worker = start_worker(say_two)
    client = serve()
    with talking(client, f"{PATH}?language=fr") as socket:
        for n in range(301):
            socket.send_bytes(SECOND[n : n + 1])
        socket.send_bytes(SECOND[301:])
        socket.receive_text()
        claimed = worker.session()

    assert claimed.pcm == SECOND
    assert claimed.request.language == "fr"


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("response_format=srt", "response_format: Input should be 'text', 'json' or"),
        ("language=klingon", "language: language 'klingon' is not known"),
    ],
)
def test_a_bad_query_is_told(serve, start_worker, query, problem):
    start_worker()
    [said], code = talk(serve(), query, ())

    assert json.loads(said)["error"].startswith(problem)
    assert code == 1008


def test_text_frames_are_refused(serve, start_worker):
    start_worker()
    with talking(serve(), PATH) as socket:
        socket.send_text("garbage")
        [said], code = until_closed(socket)

    assert json.loads(said)["error"].startswith("only samples are taken here")
    assert code == 1008


def test_without_a_worker_the_client_is_told_to_try_again(serve):
    [said], code = talk(serve(), pieces=())

    assert "no running worker takes live sessions" in json.loads(said)["error"]
    assert code == 1013


def test_a_site_with_keys_lets_nobody_in_without_one(serve, start_worker, tmp_path):
    start_worker()
    (tmp_path / "keys.json").write_text("[]")
    _, code = talk(serve(auth="keys", api_keys_file=tmp_path / "keys.json"), pieces=())

    assert code == 4401
