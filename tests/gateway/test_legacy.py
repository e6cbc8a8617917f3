"""Routes of the older systems: what their callers send, and read."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from older_calls import ending, post
from work import DIALOG, SEGMENT, TRANSCRIPT, fail, meanwhile, newest, succeed

from gateway.answering.shapes import older as shapes
from gateway.services import Services
from shared.transcript import Transcript

LiveWorker = Callable[..., None]


@pytest.mark.promise("S0-17", "S0-18", "S3-10", "S3-11", "C-01", "C-03")
def test_transcribe_answers_with_all_that_either_older_system_did(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    with meanwhile(services, ending(services)):
        answer = post(client, "/transcribe", speech, language="en", task="transcribe", model="demo")

    value = answer.get_json()
    shapes.OlderTranscript.model_validate(value)
    assert answer.status_code == 200
    assert (value["success"], value["text"], value["language"]) == (True, "Good morning.", "en")
    assert value["segments"][0]["no_speech_prob"] == 0.01
    assert "speaker" not in value["segments"][0]
    assert value["info"]["duration_after_vad"] == 0.4
    assert (value["filename"], value["model"]) == ("会议.wav", "demo")
    assert answer.headers["Location"] == f"/jobs/{value['job_id']}"


@pytest.mark.promise("S3-11", "C-15")
@pytest.mark.parametrize(
    ("transcript", "speaker"), [(DIALOG, "SPEAKER_00"), (TRANSCRIPT, None)], ids=["found", "not"]
)
def test_a_segment_says_who_speaks_even_where_that_could_not_be_found(
    client: FlaskClient,
    services: Services,
    speech: bytes,
    transcript: Transcript,
    speaker: str | None,
) -> None:
    with meanwhile(services, ending(services, transcript)):
        answer = post(client, "/transcribe", speech, diarize="true")

    assert [segment["speaker"] for segment in answer.get_json()["segments"]] == [speaker]


def test_fields_that_mean_nothing_are_named_in_a_header(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    with meanwhile(services, ending(services)):
        answer = post(client, "/transcribe?user=ann", speech, compute="int8", language="")

    assert answer.status_code == 200
    assert answer.headers["X-Longhand-Ignored"] == "user, compute"


@pytest.mark.parametrize(
    ("path", "field"),
    [("/transcribe", "file"), ("/recognise", "file"), ("/asr", "audio_file")],
)
def test_an_unknown_field_sent_twice_and_an_unknown_file_are_passed_over_and_named(
    client: FlaskClient, services: Services, speech: bytes, path: str, field: str
) -> None:
    form = {
        "user": ["ann", "bea"],
        "notes": (io.BytesIO(b"Monday"), "notes.txt"),
        field: (io.BytesIO(speech), "a.wav"),
    }
    with meanwhile(services, ending(services)):
        answer = client.post(f"{path}?user=cy", data=form)

    assert answer.status_code == 200, answer.text
    assert set(answer.headers["X-Longhand-Ignored"].split(", ")) == {"user", "notes"}


@pytest.mark.promise("S0-15", "C-20")
@pytest.mark.parametrize(
    ("fields", "param"), [({"temperature": "1.5"}, "temperature"), ({"task": "sing"}, "task")]
)
def test_a_value_that_is_not_possible_is_refused(
    client: FlaskClient, speech: bytes, fields: dict[str, str], param: str
) -> None:
    answer = post(client, "/transcribe", speech, **fields)

    assert_error(answer, 400, "invalid_request", param, param=param)


@pytest.mark.promise("S0-24", "S1-32")
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"backend": "tensorrt"}, "backend"),
        ({"backend": "openvino"}, "backend"),
        ({"model": "voxtral"}, "model"),
        ({"model": "qwen3:1.7b"}, "model"),
    ],
)
def test_an_engine_that_is_not_there_is_refused_with_those_that_are(
    client: FlaskClient,
    live_worker: LiveWorker,
    speech: bytes,
    fields: dict[str, str],
    param: str,
) -> None:
    live_worker("demo")

    answer = post(client, "/transcribe", speech, **fields)

    assert_error(answer, 400, "engine_not_available", "run faster_whisper", param=param)


def test_the_engine_that_runs_may_be_named(
    client: FlaskClient, services: Services, live_worker: LiveWorker, speech: bytes
) -> None:
    live_worker("demo")
    with meanwhile(services, ending(services)):
        answer = post(client, "/transcribe", speech, backend="faster-whisper")

    assert answer.status_code == 200
    assert "X-Longhand-Ignored" not in answer.headers


@pytest.mark.promise("C-02")
def test_callers_who_wait_too_long_get_the_id_of_the_job(
    make_client: Callable[..., FlaskClient], services: Services, speech: bytes
) -> None:
    answer = post(make_client(max_wait_s=1), "/transcribe", speech)

    job = newest(services)
    assert job is not None
    assert_error(answer, 504, "wait_timed_out", job.id)
    assert answer.get_json()["job_id"] == job.id


def test_a_job_that_fails_answers_its_error(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    error = {"code": "engine_failed", "message": "no luck"}
    with meanwhile(services, lambda record: fail(services, record.id, error)):
        answer = post(client, "/recognise", speech)

    assert_error(answer, 500, "engine_failed", "no luck")


@pytest.mark.promise("S2-03", "S2-04", "C-08")
def test_recognise_answers_with_whispers_object_bare_and_by_its_name(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    with meanwhile(services, ending(services)):
        value = post(client, "/recognise", speech).get_json()

    shapes.Recognised.model_validate(value)
    whisper = {name: value[name] for name in ("text", "segments", "language")}
    assert value["transcription"] == whisper
    assert whisper["text"] == " Good morning."
    assert set(whisper["segments"][0]) >= {
        "id", "seek", "start", "end", "text", "tokens", "temperature", "avg_logprob",
        "compression_ratio", "no_speech_prob",
    }  # fmt: skip


@pytest.mark.promise("S2-14", "C-08")
@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("envelope=0", {"text", "segments", "language"}),
        ("detail=text", {"text", "transcription"}),
        ("detail=text&envelope=0", {"text"}),
    ],
)
def test_recognise_leaves_out_what_is_not_wanted(
    client: FlaskClient, services: Services, speech: bytes, query: str, keys: set[str]
) -> None:
    with meanwhile(services, ending(services)):
        value = post(client, f"/recognise?{query}", speech).get_json()

    assert set(value) == keys | {"success", "job_id"}


@pytest.mark.promise("S2-03", "C-26")
@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"data": {"model": "demo"}, "content_type": "multipart/form-data"}, "No file provided"),
        ({"json": {}}, "No file provided"),
        ({}, "No file provided"),
        ({"data": {"file": (io.BytesIO(b""), "")}}, "No file selected"),
    ],
)
def test_recognise_says_that_there_is_no_file_as_it_always_did(
    client: FlaskClient, sent: dict[str, object], says: str
) -> None:
    answer = client.post("/recognise", **sent)  # type: ignore[arg-type]

    assert answer.status_code == 400
    assert answer.get_json() == {
        "success": False, "error": says, "code": "invalid_request", "param": "file",
    }  # fmt: skip


@pytest.mark.promise("S3-29", "S2-16")
def test_an_asynchronous_job_is_named_at_once_and_asked_for_by_that_name(
    make_client: Callable[..., FlaskClient], services: Services, speech: bytes
) -> None:
    client = make_client(default_wait_s=5)
    made = post(client, "/transcribe/async", speech, user="ann")
    job_id = made.get_json()["job_id"]
    before = client.get(f"/transcribe/status/{job_id}")
    succeed(services, job_id)
    after = client.get(f"/transcribe/status/{job_id}").get_json()

    assert (made.status_code, made.headers["X-Longhand-Ignored"]) == (202, "user")
    assert (before.get_json()["status"], before.get_json()["result"]) == ("queued", None)
    assert before.headers["Retry-After"]
    assert (after["status"], after["result"]["text"]) == ("succeeded", "Good morning.")
    shapes.OlderStatus.model_validate(after)
    assert_error(client.get("/transcribe/status/no-such-job"), 404, "job_not_found", "no-such-job")


@pytest.mark.promise("S3-29")
def test_the_queue_tells_what_waits_and_what_ended(
    client: FlaskClient, services: Services, live_worker: LiveWorker, speech: bytes
) -> None:
    live_worker("demo")
    for _ in range(3):
        post(client, "/transcribe/async", speech, cache="false")
    job = newest(services)
    assert job is not None
    succeed(services, job.id)

    value = client.get("/queue/stats").get_json()

    shapes.QueueStats.model_validate(value)
    assert value == {
        "success": True, "queue_name": "longhand", "queued": 2, "running": 0, "succeeded": 1,
        "failed": 0, "cancelled": 0, "workers": 1, "slots": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    "path", ["/v1/audio/transcriptions", "/transcribe/file", "/asr", "/transcribe/url"]
)
@pytest.mark.parametrize("kind", ["form-data", 'form-data; filename="a"'])
def test_a_part_of_a_form_without_a_name_is_refused(
    client: FlaskClient, path: str, kind: str
) -> None:
    body = f"--x\r\nContent-Disposition: {kind}\r\n\r\nMonday\r\n--x--\r\n"

    answer = client.post(path, data=body, content_type="multipart/form-data; boundary=x")

    assert answer.status_code == 400
    assert "the multipart body is broken" in answer.text


@pytest.mark.promise("C-16")
def test_segments_are_always_there(client: FlaskClient, services: Services, speech: bytes) -> None:
    with meanwhile(services, ending(services)):
        answer = post(client, "/transcribe", speech, timestamps="false")

    assert answer.get_json()["segments"][0]["text"] == SEGMENT.text
