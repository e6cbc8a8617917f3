"""OpenAI's fields, what they mean here, and how its clients are told what went wrong."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import clips
import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart
from work import fail, meanwhile, newest, succeed

from gateway.services import Services
from shared.request import TranscriptionRequest

PATH = "/v1/audio/transcriptions"


def post(client: FlaskClient, audio: bytes, path: str = PATH, **fields: Any) -> TestResponse:
    """Send a form with audio; fields that are no names are given as a dict `more`."""
    form = fields | fields.pop("more", {})
    return client.post(path, data=form | {"file": (io.BytesIO(audio), "talk.wav")})


def asked(client: FlaskClient, services: Services, audio: bytes, **fields: Any) -> Any:
    """The request that a form became, and the answer it was given."""
    with meanwhile(services, lambda record: succeed(services, record.id)):
        response = post(client, audio, **fields)
    record = newest(services)
    assert record is not None and response.status_code == 200, response.text
    return record.request, response


def error_of(response: TestResponse, status: int) -> dict[str, Any]:
    """The error of an answer, which has OpenAI's shape and nothing else."""
    value = response.get_json()
    assert response.status_code == status, value
    assert set(value) - {"job_id"} == {"error"}
    assert set(value["error"]) == {"message", "type", "param", "code"}
    found: dict[str, Any] = value["error"]
    return found


@pytest.mark.promise("S0-13", "C-14", "C-23")
@pytest.mark.parametrize(
    ("fields", "chosen"),
    [
        ({"model": "whisper-1", "prompt": "Ann"}, {"model": "whisper-1", "prompt": "Ann"}),
        ({"model": "", "language": "", "prompt": ""}, {}),
        ({"language": "English"}, {"language": "en"}),
        ({"language": "auto"}, {}),
        ({"temperature": "0.4", "hotwords": "Ann"}, {"temperature": 0.4, "hotwords": "Ann"}),
        ({"vad_filter": "false", "beam_size": "2"}, {"vad": False, "beam_size": 2}),
        ({"more": {"keywords[]": ["Ann", "Bea"]}}, {"hotwords": "Ann, Bea"}),
        ({"more": {"languages[]": ["en"]}}, {"language": "en"}),
        ({"more": {"languages[]": ["en", "de"]}}, {}),
        ({"chunking_strategy": "auto"}, {}),
        (
            {"chunking_strategy": '{"type": "server_vad", "threshold": 0.3}'},
            {"vad_onset": 0.3},
        ),
        (
            {
                "more": {
                    "chunking_strategy[type]": "server_vad",
                    "chunking_strategy[prefix_padding_ms]": "100",
                    "chunking_strategy[silence_duration_ms]": "400",
                }
            },
            {"speech_pad_ms": 100, "min_silence_duration_ms": 400},
        ),
        (
            {"chunking_strategy": '{"threshold": 0.3}', "vad_threshold": "0.7"},
            {"vad_onset": 0.7},
        ),
        ({"more": {"include[]": "logprobs"}}, {"word_timestamps": True, "align": False}),
    ],
)
def test_openais_fields_mean_options_of_ours(
    client: FlaskClient,
    services: Services,
    speech: bytes,
    fields: dict[str, Any],
    chosen: dict[str, Any],
) -> None:
    request, _ = asked(client, services, speech, **fields)

    chosen = {"chinese": "none"} | chosen
    assert request.chosen() == TranscriptionRequest(**chosen).chosen()


def test_voices_of_known_speakers_come_within_the_form(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    recorded = clips.encoded("wav", "pcm_s16le", 28.0, rate_hz=96_000)
    voice = "data:audio/wav;base64," + base64.b64encode(recorded).decode()
    boundary, body = encode_multipart(
        {
            "known_speaker_names[]": "Ann",
            "known_speaker_references[]": voice,
            "response_format": "diarized_json",
            "file": FileStorage(io.BytesIO(speech), "talk.wav"),
        },
    )

    response = client.post(
        f"{PATH}?stream=true", data=body, content_type=f"multipart/form-data; boundary={boundary}"
    )
    response.close()

    assert len(voice) > 7_000_000
    assert response.status_code == 200, response.text
    record = newest(services)
    assert record is not None and record.request.diarize
    assert record.request.known_speaker_names == ("Ann",)


def test_unknown_fields_are_passed_over_and_named(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    more = {"user": "ann", "wörd[]": ["a", "b"], "wait": "3", "chunking_strategy[pace]": "1"}

    _, response = asked(client, services, speech, more=more)

    named = "user, w%C3%B6rd[], wait, chunking_strategy[pace]"
    assert response.headers["X-Longhand-Ignored"] == named


def test_an_unknown_field_sent_twice_and_an_unknown_file_are_passed_over_and_named(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    more = {"user": ["ann", "bea"], "notes": (io.BytesIO(b"Monday"), "notes.txt")}

    _, response = asked(client, services, speech, more=more)

    assert set(response.headers["X-Longhand-Ignored"].split(", ")) == {"user", "notes"}
    job = newest(services)
    assert job is not None and job.audio.n_bytes == len(speech)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"model": ["demo", "tiny"]}, "field 'model' was given twice"),
        ({"chunking_strategy[type]": ["server_vad", "x"]}, "was given twice"),
        ({"prompt": (io.BytesIO(b"Ann"), "a.txt")}, "field 'prompt' is not known as a file"),
    ],
)
def test_a_known_field_sent_twice_or_as_a_file_is_refused(
    client: FlaskClient, speech: bytes, more: dict[str, Any], words: str
) -> None:
    assert words in error_of(post(client, speech, more=more), 400)["message"]


@pytest.mark.promise("C-03")
def test_an_answer_names_its_job_and_the_model_that_ran(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    _, response = asked(client, services, speech, model="whisper-1")

    job = newest(services)
    assert job is not None
    assert response.headers["Location"] == f"/jobs/{job.id}"
    assert response.headers["X-Longhand-Model"] == "demo"
    assert "X-Longhand-Ignored" not in response.headers


@pytest.mark.promise("S0-15", "C-20")
@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"response_format": "mp3"}, "response_format", "'json', 'text', 'srt'"),
        ({"temperature": "1.5"}, "temperature", "at most 1"),
        ({"temperature": "warm"}, "temperature", "a number"),
        ({"language": "Klingon"}, "language", "'Klingon' is not known"),
        ({"timestamp_granularities": "letter"}, "timestamp_granularities", "'word' or 'segment'"),
        ({"more": {"include[]": "tea"}}, "include", "'logprobs'"),
        ({"chunking_strategy": "slow"}, "chunking_strategy", '"auto" or {"type": "server_vad"'),
        (
            {"more": {"chunking_strategy[threshold]": "2"}},
            "chunking_strategy",
            "chunking_strategy[threshold] is 2; it must be at most 1",
        ),
        ({"more": {"languages[]": "Klingon"}}, "languages", "'Klingon' is not known"),
        ({"stream": "perhaps"}, "stream", "true or false"),
        ({"more": {"known_speaker_names[]": "Ann"}}, None, "0 known_speaker_references"),
    ],
)
def test_what_is_not_possible_is_said_as_openai_says_it(
    client: FlaskClient, speech: bytes, fields: dict[str, Any], param: str | None, words: str
) -> None:
    error = error_of(post(client, speech, **fields), 400)

    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_request")
    assert (error["param"], words in error["message"]) == (param, True), error


@pytest.mark.promise("C-12")
def test_an_unknown_model_is_not_found_where_the_operator_is_strict(
    make_client: Callable[..., FlaskClient], speech: bytes
) -> None:
    client = make_client(strict_models=True)
    for error in (
        error_of(post(client, speech, model="gpt-9"), 404),
        error_of(client.get("/v1/models/gpt-9"), 404),
    ):
        assert (error["type"], error["code"]) == ("invalid_request_error", "model_not_found")
        assert error["param"] == "model" and "gpt-9" in error["message"]


@pytest.mark.promise("S1-03", "C-12")
@pytest.mark.parametrize(
    ("name", "form", "is_replaced"),
    [
        ("gpt-9", "verbose_json", True),
        ("whisper-small", "verbose_json", True),  # known, and no worker has it
        ("large-v3", "srt", True),
        ("whisper-1", "verbose_json", False),
        ("demo", "srt", False),
    ],
)
def test_the_default_takes_the_place_of_a_model_that_is_not_here_and_says_so(
    client: FlaskClient,
    services: Services,
    live_worker: Callable[..., None],
    speech: bytes,
    name: str,
    form: str,
    is_replaced: bool,
) -> None:
    live_worker("demo")

    request, answer = asked(client, services, speech, model=name, response_format=form)

    assert request.model == (None if is_replaced else name)
    assert answer.headers["X-Longhand-Model"] == "demo"
    codes = ["quiet", "model_replaced"] if is_replaced else ["quiet"]
    assert answer.headers["X-Longhand-Warnings"] == ", ".join(codes)
    if form == "verbose_json":
        told = {warning["code"]: warning["message"] for warning in answer.get_json()["warnings"]}
        assert list(told) == codes
        message = f"model {name!r} is not known here; 'demo' ran in its place"
        assert told.get("model_replaced", message) == message


@pytest.mark.promise("C-26")
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", PATH, 405, "method_not_allowed"),
        ("POST", PATH, 400, "invalid_request"),
        ("POST", "/v1/audio/translations", 400, "invalid_request"),
    ],
)
def test_every_error_below_v1_has_openais_shape(
    client: FlaskClient, method: str, path: str, status: int, code: str
) -> None:
    error = error_of(client.open(path, method=method), status)

    assert (error["type"], error["code"]) == ("invalid_request_error", code)


def test_a_body_of_another_kind_is_refused(client: FlaskClient) -> None:
    error = error_of(client.post(PATH, data=b"talk", content_type="text/plain"), 400)

    assert (error["type"], error["code"]) == ("invalid_request_error", "unsupported_media")


def test_what_is_no_audio_is_refused(client: FlaskClient) -> None:
    error = error_of(post(client, b"words, words, words"), 400)

    assert (error["type"], error["code"]) == ("invalid_request_error", "audio_unreadable")
    assert error["param"] == "file"


def test_a_model_of_another_engine_is_not_available(client: FlaskClient, speech: bytes) -> None:
    error = error_of(post(client, speech, model="voxtral"), 400)

    assert (error["code"], error["param"]) == ("engine_not_available", "model")


@pytest.mark.parametrize("code", ["engine_failed", "gpu_oom"])
def test_a_failed_job_is_told_and_not_to_be_posted_again(
    client: FlaskClient, services: Services, speech: bytes, code: str
) -> None:
    broken = {"code": code, "message": "it broke"}
    with meanwhile(services, lambda record: fail(services, record.id, broken)):  # type: ignore[arg-type]
        response = post(client, speech)

    error = error_of(response, 500)
    assert (error["type"], error["message"]) == ("server_error", "it broke")
    assert response.headers["x-should-retry"] == "false"


@pytest.mark.promise("C-02")
def test_a_wait_that_ends_before_the_job_names_it(
    services: Services, make_client: Callable[..., FlaskClient], speech: bytes
) -> None:
    response = post(make_client(max_wait_s=1), speech)

    error, job = error_of(response, 504), newest(services)
    assert job is not None and not job.status.is_final
    assert (error["type"], error["code"]) == ("server_error", "wait_timed_out")
    assert response.get_json()["job_id"] == job.id and job.id in error["message"]


def test_a_model_that_cannot_translate_is_said_to(client: FlaskClient, speech: bytes) -> None:
    error = error_of(post(client, speech, "/v1/audio/translations", model="demo"), 400)

    assert (error["param"], "can only transcribe" in error["message"]) == ("task", True)
