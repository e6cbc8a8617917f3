"""What OpenAI's routes answer is what OpenAI's own client models say, strictly, event by event."""

from __future__ import annotations

import http.client
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from gateway_process import GatewayProcess
from openai.types import Model
from openai.types.audio import (
    Transcription,
    TranscriptionDiarized,
    TranscriptionTextDeltaEvent,
    TranscriptionTextDoneEvent,
    TranscriptionTextSegmentEvent,
    TranscriptionVerbose,
    Translation,
    TranslationVerbose,
)
from pydantic import BaseModel
from waiting import wait_until
from werkzeug.test import TestResponse
from work import DIALOG, SEGMENT, TRANSCRIPT, fail, meanwhile, newest, succeed

from gateway.services import Services
from gateway.shapes import openai as shapes
from shared.chunks import KeptChunk
from shared.records import JobRecord
from shared.transcript import SpeakerTurn, Transcript, Word

EVENTS: dict[str, tuple[type[BaseModel], type[BaseModel]]] = {
    "transcript.text.delta": (TranscriptionTextDeltaEvent, shapes.Delta),
    "transcript.text.segment": (TranscriptionTextSegmentEvent, shapes.SpokenSegment),
    "transcript.text.done": (TranscriptionTextDoneEvent, shapes.Done),
}
SECOND = SEGMENT.model_copy(
    update={
        "id": 1,
        "start": 0.5,
        "end": 0.9,
        "text": " How are you?",
        "words": (Word(word=" How", start=0.5, end=0.6, probability=0.5),),
    }
)
TO_TAIWANS = str.maketrans({"头": "頭", "发": "髮", "长": "長", "没": "沒", "么": "麼"})
BOTH = TRANSCRIPT.model_copy(
    update={
        "text": "Good morning. How are you?",
        "segments": (SEGMENT, SECOND),
        "duration": 1.0,
        "turns": None,
    }
)


def post(
    client: FlaskClient, audio: bytes, path: str = "/v1/audio/transcriptions", **fields: Any
) -> TestResponse:
    """Send audio as OpenAI's clients do; `[]` is written as `_list`."""
    form = {name.replace("_list", "[]"): value for name, value in fields.items()}
    return client.post(path, data=form | {"file": (io.BytesIO(audio), "talk.wav")})


def answered(
    client: FlaskClient,
    services: Services,
    audio: bytes,
    transcript: Transcript = TRANSCRIPT,
    **fields: Any,
) -> TestResponse:
    """The answer to a transcription whose result is this transcript."""
    with meanwhile(services, lambda record: succeed(services, record.id, transcript)):
        response = post(client, audio, **fields)
    assert response.status_code == 200, response.text
    return response


def validate(value: Any, theirs: type[BaseModel], ours: type[BaseModel]) -> None:
    """Hold a value to OpenAI's model without any conversion, and to ours without any extra."""
    theirs.model_validate(value, strict=True)
    ours.model_validate(value, strict=True)


def test_json_is_a_transcription(client: FlaskClient, services: Services, speech: bytes) -> None:
    value = answered(client, services, speech, model="whisper-1").get_json()

    validate(value, Transcription, shapes.Text)
    assert value == {
        "text": "Good morning.",
        "usage": {"type": "duration", "seconds": 0.5},
    }


def test_log_probabilities_are_those_of_the_words(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    value = answered(client, services, speech, include_list="logprobs").get_json()

    validate(value, Transcription, shapes.Text)
    assert value["logprobs"] == [
        {"token": " Good", "logprob": -0.105361, "bytes": [32, 71, 111, 111, 100]}
    ]


@pytest.mark.parametrize(
    ("fields", "has_words", "aligned"),
    [
        ({}, True, False),
        ({"timestamp_granularities_list": "word"}, True, None),
        ({"timestamp_granularities": "word"}, True, None),
        ({"timestamp_granularities_list": ["segment", "word"]}, True, None),
        ({"timestamp_granularities": "segment,word"}, True, None),
        ({"timestamp_granularities_list": "segment"}, False, None),
    ],
)
def test_verbose_json_is_a_verbose_transcription(
    client: FlaskClient,
    services: Services,
    speech: bytes,
    fields: dict[str, Any],
    has_words: bool,
    aligned: bool | None,
) -> None:
    value = answered(client, services, speech, response_format="verbose_json", **fields).get_json()

    validate(value, TranscriptionVerbose, shapes.Verbose)
    record = newest(services)
    assert record is not None
    assert (record.request.word_timestamps, record.request.align) == (has_words, aligned)
    words = [{"word": "Good", "start": 0.123, "end": 0.3}] if has_words else None
    assert (value["language"], value["duration"], value.get("words")) == ("en", 0.5, words)
    assert [segment["text"] for segment in value["segments"]] == [" Good morning."]
    assert (value["model"], [w["code"] for w in value["warnings"]]) == ("demo", ["quiet"])


def test_a_language_is_named_as_openai_does_where_that_is_asked_for(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    fields = {"response_format": "verbose_json", "language_format": "name"}

    assert answered(client, services, speech, **fields).get_json()["language"] == "english"


def test_diarized_json_is_a_diarized_transcription(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    who = ("SPEAKER_01", "Ann", None, "SPEAKER_00", "SPEAKER_01")
    said = tuple(
        SEGMENT.model_copy(update={"speaker": name, "start": n / 10, "end": n / 10 + 0.1})
        for n, name in enumerate(who)
    )
    dialog = DIALOG.model_copy(
        update={"segments": said, "turns": (SpeakerTurn(speaker="Ann", start=0, end=1),)}
    )

    value = answered(client, services, speech, dialog, response_format="diarized_json").get_json()

    validate(value, TranscriptionDiarized, shapes.Diarized)
    record = newest(services)
    assert record is not None and record.request.diarize
    assert [s["speaker"] for s in value["segments"]] == ["A", "Ann", "unknown", "B", "A"]


@pytest.mark.parametrize(
    ("wanted", "media_type", "begins"),
    [
        ("text", "text/plain", "Good morning.\n"),
        ("srt", "application/x-subrip", "1\n00:00:00,123 --> 00:00:00,500\nGood morning."),
        ("vtt", "text/vtt", "WEBVTT\n\n00:00:00.123 --> 00:00:00.500\nGood morning."),
    ],
)
def test_what_is_no_json_is_the_text_itself(
    client: FlaskClient,
    services: Services,
    speech: bytes,
    wanted: str,
    media_type: str,
    begins: str,
) -> None:
    response = answered(client, services, speech, response_format=wanted)

    assert response.mimetype == media_type
    assert response.text.startswith(begins)


@pytest.mark.parametrize(
    ("wanted", "theirs", "ours"),
    [("json", Translation, shapes.Text), ("verbose_json", TranslationVerbose, shapes.Verbose)],
)
def test_a_translation_is_openais(
    services: Services,
    make_client: Callable[..., FlaskClient],
    speech: bytes,
    wanted: str,
    theirs: type[BaseModel],
    ours: type[BaseModel],
) -> None:
    english = TRANSCRIPT.model_copy(update={"task": "translate", "language": "zh"})
    value = answered(
        make_client(),
        services,
        speech,
        english,
        path="/v1/audio/translations",
        model="tiny",
        response_format=wanted,
    ).get_json()

    validate(value, theirs, ours)
    record = newest(services)
    assert record is not None and record.request.task == "translate"
    assert value.get("language", "en") == "en" and "usage" not in value


def test_models_are_openais(client: FlaskClient, live_worker: Callable[..., None]) -> None:
    live_worker("demo")

    listed = client.get("/v1/models").get_json()
    found = client.get("/v1/models/whisper-1").get_json()

    shapes.ModelList.model_validate(listed, strict=True)
    for value in (*listed["data"], found):
        validate(value, Model, shapes.Model)
    assert [value["id"] for value in listed["data"]] == ["demo"]
    assert found["id"] == "whisper-1"


def test_a_models_name_may_hold_slashes(client: FlaskClient) -> None:
    name = "Systran/faster-whisper-small"

    for written in (name, name.replace("/", "%2F")):
        assert client.get(f"/v1/models/{written}").get_json()["id"] == name


def events_of(body: str) -> list[dict[str, Any]]:
    """The values of a stream's events; it has to end as OpenAI's do."""
    blocks = [block for block in body.split("\n\n") if block and not block.startswith(":")]
    assert blocks[-1] == "data: [DONE]"
    return [json.loads(block.removeprefix("data: ")) for block in blocks[:-1]]


def keep(
    services: Services, record: JobRecord, index: int, *segments: Any, language: str = "en"
) -> None:
    """Keep a chunk of a running job as done."""
    chunk = KeptChunk(language=language, segments=segments)
    services.jobs.chunks.keep(record.id, record.attempt, index, chunk)


def streamed(
    client: FlaskClient,
    services: Services,
    audio: bytes,
    transcript: Transcript,
    chunks: list[tuple[int, Any]],
    **fields: Any,
) -> list[dict[str, Any]]:
    """The events of a job whose chunks are done in this order, and which then succeeds."""
    response = post(client, audio, stream="true", **fields)
    assert (response.status_code, response.mimetype) == (200, "text/event-stream")
    record = wait_until(lambda: newest(services), 20, "a job")
    assert record.is_streamed
    body = iter(response.response)
    parts = [next(body)]
    assert services.jobs.claim(record.id, 1, "w1") is not None
    services.jobs.chunks.begin(record.id, 1, "{}")
    for index, segment in chunks:
        keep(services, record, index, segment, language=transcript.language)
        if index == 0:
            parts.append(next(body))
    assert services.jobs.finish(record.id, 1, transcript)
    parts += list(body)
    response.close()
    values = events_of("".join(p if isinstance(p, str) else p.decode() for p in parts))
    for value in values:
        validate(value, *EVENTS[value["type"]])
    return values


def test_text_is_streamed_in_the_order_of_time_as_it_is_made(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    values = streamed(client, services, speech, BOTH, [(1, SECOND), (0, SEGMENT)])

    deltas = [value["delta"] for value in values if value["type"].endswith("delta")]
    assert "".join(deltas) == values[-1]["text"] == "Good morning. How are you?"
    assert values[-1]["type"] == "transcript.text.done"


def test_the_first_chunk_is_told_before_the_second_is_done(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    fields = {"include_list": "logprobs"}
    values = streamed(client, services, speech, BOTH, [(0, SEGMENT)], **fields)

    assert [value.get("delta") for value in values] == ["Good morning.", " How are you?", None]
    tokens = [[found["token"] for found in value["logprobs"]] for value in values]
    assert tokens == [[" Good"], [" How"], [" Good", " How"]]


def test_who_speaks_is_streamed_segment_by_segment(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    dialog = BOTH.model_copy(
        update={"segments": DIALOG.segments + (SECOND,), "turns": DIALOG.turns}
    )

    values = streamed(
        client, services, speech, dialog, [(0, SEGMENT)], response_format="diarized_json"
    )

    said = [v["type"].rpartition(".")[2] for v in values]
    assert said == ["delta", "delta", "segment", "segment", "done"]
    assert [v["speaker"] for v in values if "speaker" in v] == ["A", "unknown"]


def test_a_job_that_fails_while_it_is_streamed_ends_in_an_error_event(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    response = post(client, speech, stream="true")
    record = wait_until(lambda: newest(services), 20, "a job")
    fail(services, record.id, {"code": "engine_failed", "message": "it broke"})

    last = response.text.strip().rpartition("\n\n")[2]

    kind, _, data = last.partition("\n")
    assert kind == "event: error"
    assert json.loads(data.removeprefix("data: ")) == {
        "error": {
            "message": "it broke",
            "type": "server_error",
            "param": None,
            "code": "engine_failed",
        },
        "job_id": record.id,
    }


def test_whoever_hangs_up_stops_his_job(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    response = post(client, speech, stream="true")
    next(iter(response.response))
    response.close()

    record = newest(services)
    assert record is not None and record.status == "cancelled"


def test_a_stream_holds_a_waiting_slot_until_it_ends(
    services: Services, make_client: Callable[..., FlaskClient], speech: bytes
) -> None:
    client = make_client(waiting_slots=1)
    first = post(client, speech, stream="true")
    next(iter(first.response))

    refused = post(client, speech, stream="true")
    first.close()
    second = post(client, speech, stream="true")
    second.close()

    assert (refused.status_code, refused.get_json()["error"]["code"]) == (503, "busy")
    assert refused.headers["Retry-After"] == "5"
    assert second.status_code == 200


def test_chinese_is_streamed_in_the_script_asked_for(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    said = "她的头发很长,皇后的头发也很长,太后的头发没有那么长。"
    chinese = SEGMENT.model_copy(update={"text": said, "words": None})
    whole = TRANSCRIPT.model_copy(
        update={"text": said, "language": "zh", "segments": (chinese,), "turns": None}
    )

    values = streamed(
        client, services, speech, whole, [(0, chinese)], language="zh", chinese="s2tw"
    )

    deltas = [value["delta"] for value in values[:-1]]
    assert len(deltas) == 2
    assert "".join(deltas) == values[-1]["text"] == said.translate(TO_TAIWANS)


def test_whoever_closes_his_connection_stops_his_run_within_seconds(
    start_gateway: Callable[..., GatewayProcess], services: Services, speech: bytes
) -> None:
    gateway = start_gateway()
    body = (
        b'--x\r\nContent-Disposition: form-data; name="stream"\r\n\r\ntrue\r\n'
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        + speech
        + b"\r\n--x--\r\n"
    )
    connection = http.client.HTTPConnection(*gateway.address, timeout=20)
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    connection.request("POST", "/v1/audio/transcriptions", body, headers)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["X-Accel-Buffering"]) == (200, "no")
    record = wait_until(lambda: newest(services), 20, "a job")
    assert record.status == "queued"

    answer.close()
    connection.close()

    wait_until(lambda: services.jobs.get(record.id).status == "cancelled", 15, "it is cancelled")
