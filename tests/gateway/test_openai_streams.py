"""A streamed transcription: text as it is made, in OpenAI's own events, and who hangs up."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient
from gateway_process import GatewayProcess
from openai.types.audio import (
    TranscriptionTextDeltaEvent,
    TranscriptionTextDoneEvent,
    TranscriptionTextSegmentEvent,
)
from openai_calls import post, validate
from pydantic import BaseModel
from waiting import wait_until
from work import DIALOG, SEGMENT, TRANSCRIPT, fail, newest

from gateway.answering.shapes import openai as shapes
from gateway.openai.stream import SentText
from gateway.services import Services
from shared.jobs.chunks import KeptChunk
from shared.records import JobRecord
from shared.transcript import Transcript, Word

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


def events_of(body: str) -> list[dict[str, Any]]:
    """The values of a stream's events; it has to end as OpenAI's do."""
    blocks = [block for block in body.split("\n\n") if block and not block.startswith(":")]
    assert blocks[-1] == "data: [DONE]"
    values = []
    for block in blocks[:-1]:
        event, data = block.split("\n")
        values.append(json.loads(data.removeprefix("data: ")))
        assert event == f"event: {values[-1]['type']}"
    return values


def keep(
    services: Services, record: JobRecord, index: int, *segments: Any, language: str = "en"
) -> None:
    """Keep a chunk of a running job as done."""
    chunk = KeptChunk(language=language, segments=segments)
    services.jobs.runs.chunks.keep(record.id, record.attempt, index, chunk)


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
    assert services.jobs.runs.claim(record.id, 1, "w1") is not None
    services.jobs.runs.chunks.begin(record.id, 1, "{}")
    for index, segment in chunks:
        keep(services, record, index, segment, language=transcript.language)
        if index == 0:
            parts.append(next(body))
    assert services.jobs.runs.finish(record.id, 1, transcript)
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


def test_no_letter_is_lost_where_the_end_cuts_a_segment_in_two(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    first = SEGMENT.model_copy(update={"text": "你好 hello", "words": None})
    cut = [first.model_copy(update={"text": text}) for text in ("你好", "hello", "再见")]
    whole = BOTH.model_copy(
        update={"text": "你好hello再见", "language": "zh", "segments": tuple(cut)}
    )

    values = streamed(client, services, speech, whole, [(0, first)])

    assert [value.get("delta") for value in values] == ["你好 hello", "再见", None]


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


def test_callers_who_hang_up_stop_their_job(
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


def test_a_closed_connection_stops_the_callers_run_within_seconds(
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


def test_of_channels_the_text_is_told_at_the_end_in_the_order_of_time(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    response = post(client, speech, multichannel="true", stream="true")
    record = wait_until(lambda: newest(services), 20, "a job")
    assert services.jobs.runs.claim(record.id, 1, "w1") is not None
    services.jobs.runs.chunks.begin(record.id, 1, "{}")
    keep(services, record, 0, SECOND)  # of the first channel, which speaks later

    sent = SentText(record.request)
    assert sent.catch_up(services.jobs.runs.chunks, record.id) == ""
    assert sent.finish(BOTH.text) == sent.text == BOTH.text
    response.close()


def test_diarized_json_of_channels_has_them_as_speakers(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    post(
        client, speech, multichannel="true", response_format="diarized_json", stream="true"
    ).close()

    record = wait_until(lambda: newest(services), 20, "a job")
    assert (record.request.multichannel, record.request.diarize) == (True, False)
