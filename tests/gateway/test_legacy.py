"""Routes of the older systems: what their callers send, and read."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from werkzeug.test import TestResponse
from work import DIALOG, SEGMENT, TRANSCRIPT, fail, meanwhile, newest, succeed, upload

from gateway.services import Services
from gateway.shapes import older as shapes
from shared.records import JobRecord
from shared.transcript import Transcript

LiveWorker = Callable[..., None]


def post(
    client: FlaskClient, path: str, audio: bytes, field: str = "file", **fields: str
) -> TestResponse:
    """Send audio as a form."""
    return client.post(path, data={**fields, field: (io.BytesIO(audio), "会议.wav")})


def ending(services: Services, transcript: Transcript = TRANSCRIPT) -> Callable[[JobRecord], None]:
    """What makes a job succeed."""
    return lambda record: succeed(services, record.id, transcript)


@pytest.mark.promise("S0-17", "S0-18", "S3-10", "S3-11", "C-01")
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
def test_who_waits_in_vain_is_told_the_job(
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


@pytest.mark.promise("S2-05", "S2-06")
def test_a_reload_changes_the_model_of_later_requests_at_every_gateway(
    make_client: Callable[..., FlaskClient], services: Services, speech: bytes
) -> None:
    first, second = make_client(), make_client()
    answer = first.post("/reload", json={"model_name": "large"})
    upload(second, speech)
    unnamed = newest(services)
    post(second, "/transcribe/async", speech, model="whisper-1")
    aliased = newest(services)
    post(second, "/transcribe/async", speech, model="demo")
    named = newest(services)

    assert answer.get_json() == {
        "success": True, "message": "Model large loaded", "model": "large-v3",
    }  # fmt: skip
    assert unnamed and aliased and named
    models = [job.request.model for job in (unnamed, aliased, named)]
    assert models == ["large-v3", "large-v3", "demo"]
    assert second.get("/models").get_json()["default"] == "large-v3"


def test_a_reload_with_a_body_nested_too_deep_is_refused(client: FlaskClient) -> None:
    answer = client.post("/reload", data=b"[" * 9999, content_type="application/json")

    assert_error(answer, 400, "invalid_request", "a JSON object")


@pytest.mark.promise("S2-05")
@pytest.mark.parametrize(
    "name",
    ["tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en", "large",
     "large-v1", "large-v2", "large-v3", "turbo"],
)  # fmt: skip
def test_a_reload_knows_every_name_that_whisper_has(client: FlaskClient, name: str) -> None:
    answer = client.post("/reload", json={"model_name": name})

    assert (answer.status_code, answer.get_json()["message"]) == (200, f"Model {name} loaded")


@pytest.mark.parametrize("can_come", [False, True])
def test_a_reload_with_a_model_that_cannot_run_changes_nothing(
    client: FlaskClient, live_worker: LiveWorker, can_come: bool
) -> None:
    if not can_come:
        live_worker("demo")
    wanted = "larg" if can_come else "large"

    answer = client.post("/reload", json={"model_name": wanted})

    assert_error(answer, 404, "model_not_found", wanted, param="model")
    assert client.get("/models").get_json()["default"] == "demo"


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


@pytest.mark.promise("T16")
@pytest.mark.parametrize(
    ("output", "media_type", "begins"),
    [
        ("", "text/plain", "Good morning."),
        ("txt", "text/plain", "Good morning."),
        ("vtt", "text/vtt", "WEBVTT\n"),
        ("srt", "application/x-subrip", "1\n00:00:00,123 --> "),
        ("tsv", "text/tab-separated-values", "start\tend\ttext\n123\t500\tGood"),
    ],
)
def test_asr_answers_with_the_output_that_is_asked_for(
    client: FlaskClient,
    services: Services,
    speech: bytes,
    output: str,
    media_type: str,
    begins: str,
) -> None:
    query = "encode=true&task=transcribe&language=en&word_timestamps=false&vad_filter=true"
    with meanwhile(services, ending(services)):
        answer = post(client, f"/asr?{query}&output={output}", speech, "audio_file")

    assert (answer.status_code, answer.mimetype) == (200, media_type)
    assert answer.get_data(as_text=True).startswith(begins)
    assert answer.headers["Asr-Engine"] == "longhand"
    assert answer.headers["Content-Disposition"].endswith(f".{output or 'txt'}")


@pytest.mark.promise("T16")
def test_asr_takes_every_name_that_speakr_sends(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    query = {
        "encode": "true", "task": "transcribe", "output": "json", "diarize": "true",
        "enable_diarization": "true", "min_speakers": "1", "max_speakers": "3", "language": "en",
        "initial_prompt": "Ann and Bob", "hotwords": "Longhand", "model": "demo",
        "return_speaker_embeddings": "true",
    }  # fmt: skip
    with meanwhile(services, ending(services, DIALOG)):
        answer = client.post(
            "/asr", query_string=query, data={"audio_file": (io.BytesIO(speech), "a.wav")}
        )

    job, value = newest(services), answer.get_json()
    assert job is not None
    assert "X-Longhand-Ignored" not in answer.headers
    assert [segment["speaker"] for segment in value["segments"]] == ["SPEAKER_00"]
    chosen = job.request.chosen()
    assert (chosen["max_speakers"], chosen["prompt"], chosen["hotwords"]) == (
        3, "Ann and Bob", "Longhand",
    )  # fmt: skip
    assert chosen["diarize"] and chosen["speaker_embeddings"]


def test_asr_takes_bare_samples(client: FlaskClient, services: Services) -> None:
    samples = struct.pack("<8000h", *range(8000))
    with meanwhile(services, ending(services)):
        answer = post(client, "/asr?encode=false", samples, "audio_file")

    job = newest(services)
    assert (answer.status_code, job and job.audio.duration_s) == (200, 0.5)


def test_the_language_is_detected_in_the_first_half_minute(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    with meanwhile(services, ending(services)):
        answer = post(client, "/detect-language?encode=true", speech, "audio_file", language="zh")

    job, value = newest(services), answer.get_json()
    shapes.DetectedLanguage.model_validate(value)
    assert (value["detected_language"], value["language_code"]) == ("english", "en")
    assert value["confidence"] == 0.98
    assert job and (job.request.language, job.request.clip_timestamps) == (None, (0.0, 30.0))


@pytest.mark.parametrize("path", ["/asr", "/detect-language"])
def test_bare_samples_that_only_the_form_tells_of_are_refused(
    client: FlaskClient, path: str
) -> None:
    answer = post(client, path, bytes(32_000), "audio_file", encode="false")

    assert_error(answer, 400, "invalid_request", "send encode in the query", param="encode")


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/transcribe/file", "/asr"])
@pytest.mark.parametrize("kind", ["form-data", 'form-data; filename="a"'])
def test_a_part_of_a_form_without_a_name_is_refused(
    client: FlaskClient, path: str, kind: str
) -> None:
    body = f"--x\r\nContent-Disposition: {kind}\r\n\r\nMonday\r\n--x--\r\n"

    answer = client.post(path, data=body, content_type="multipart/form-data; boundary=x")

    assert answer.status_code == 400
    assert "the multipart body is broken" in answer.text


def test_a_field_of_another_name_is_no_audio_file(client: FlaskClient, speech: bytes) -> None:
    answer = post(client, "/asr", speech, "file")

    assert_error(answer, 400, "invalid_request", "'audio_file'", param="file")


def test_segments_are_always_there(client: FlaskClient, services: Services, speech: bytes) -> None:
    with meanwhile(services, ending(services)):
        answer = post(client, "/transcribe", speech, timestamps="false")

    assert answer.get_json()["segments"][0]["text"] == SEGMENT.text
