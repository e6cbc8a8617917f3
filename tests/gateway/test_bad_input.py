"""Everything that cannot be taken gets a clear error, and leaves nothing behind."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import clips
import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from work import upload

StoredFiles = Callable[[], list[str]]

NOT_AUDIO = {
    "text": clips.TEXT,
    "png": clips.PNG,
    "random": clips.random_bytes(),
    "zeros": bytes(50_000),
    "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n",
    "file list": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "no channels": clips.wav_without_channels(),
    "header alone": clips.wav(0.0),
    "no samples": clips.wav(0.2)[:40] + struct.pack("<I", 0),
    "half an m4a": clips.encoded("ipod", "aac")[:3000],
}


@pytest.mark.promise("C-11")
@pytest.mark.parametrize("content", NOT_AUDIO.values(), ids=NOT_AUDIO.keys())
def test_a_file_that_is_not_audio_is_refused_whatever_its_name(
    client: FlaskClient, stored_files: StoredFiles, content: bytes
) -> None:
    response = upload(client, content, "talk.mp3")

    assert_error(response, 422, "audio_unreadable", "audio", param="file")
    assert stored_files() == []


FIELDS = [
    ("modle", "demo", 400, "field 'modle' is not known; did you mean 'model'?"),
    ("quality", "best", 400, "field 'quality' is not known; the "),
    ("format", "srt", 400, "GET /jobs/{job_id}/result?format=srt"),
    ("language", "klingon", 400, "language 'klingon' is not known; give a code such as 'en'"),
    ("task", "sing", 400, "task is 'sing'; it must be 'transcribe' or 'translate'"),
    ("temperature", "3", 400, "temperature is 3; it must be at most 1"),
    ("temperature", "-0.5", 400, "temperature is -0.5; it must be at least 0"),
    ("temperature", "nan", 400, "temperature is 'nan'; it must be "),
    ("temperature", "warm", 400, "temperature is 'warm'; it must be a number"),
    ("timestamps", "maybe", 400, "timestamps is 'maybe'; it must be true or false"),
    ("word_timestamps", "2", 400, "word_timestamps is 2; it must be true or false"),
    ("wait", "soon", 400, "wait is 'soon'; it must be true, false or a number of seconds"),
    ("wait", "-1", 400, "wait is -1; it must be true, false or a number of seconds"),
    ("prompt", "a" * 10_001, 400, "prompt is 10001 characters long; it must be at most 10000"),
    ("prompt", "a" * 70_000, 400, "field 'prompt' is over 64000 bytes long"),
    ("model", "larg-v3", 404, "model 'larg-v3' is not known; did you mean 'large-v3'?"),
    ("model", "gpt", 404, "model 'gpt' is not known; GET /models lists those that are"),
    ("task", "translate", 400, "task is 'translate'; model 'demo' can only transcribe"),
]


@pytest.mark.promise("S0-28")
@pytest.mark.parametrize(("name", "value", "status", "message"), FIELDS)
def test_a_bad_field_is_named_with_its_value_and_limit(
    client: FlaskClient,
    stored_files: StoredFiles,
    speech: bytes,
    name: str,
    value: str,
    status: int,
    message: str,
) -> None:
    response = upload(client, speech, **{name: value})

    code = "invalid_request" if status == 400 else "model_not_found"
    assert_error(response, status, code, message, param=name)
    assert stored_files() == []


def test_a_bad_option_in_the_query_is_refused_by_the_binary_route(
    client: FlaskClient, stored_files: StoredFiles, speech: bytes
) -> None:
    response = client.post("/transcribe/binary?modle=demo", data=speech)

    assert_error(response, 400, "invalid_request", "did you mean 'model'?", param="modle")
    assert stored_files() == []


@pytest.mark.promise("S0-10")
@pytest.mark.parametrize("part", [{}, {"model": "demo"}, {"file": (io.BytesIO(), "")}])
def test_a_form_without_a_file_is_refused(
    client: FlaskClient, stored_files: StoredFiles, part: dict[str, object]
) -> None:
    response = client.post("/transcribe/file", data=part, content_type="multipart/form-data")

    assert_error(response, 400, "invalid_request", "no audio was sent", param="file")
    assert stored_files() == []


def test_a_request_without_a_body_is_refused(client: FlaskClient) -> None:
    for path in ("/transcribe/file", "/transcribe/binary"):
        assert_error(client.post(path), 400, "invalid_request", "no audio was sent")


def test_an_empty_file_is_refused(client: FlaskClient, stored_files: StoredFiles) -> None:
    response = upload(client, b"")

    assert_error(response, 422, "audio_unreadable", "the file is empty", param="file")
    assert stored_files() == []


def test_a_file_sent_as_text_is_refused_with_the_way_to_send_it(client: FlaskClient) -> None:
    response = client.post(
        "/transcribe/file", data={"file": "talk.mp3"}, content_type="multipart/form-data"
    )

    assert_error(response, 400, "invalid_request", "-F file=@talk.mp3", param="file")


def test_a_file_in_another_field_is_refused_by_that_name(
    client: FlaskClient, speech: bytes
) -> None:
    response = client.post("/transcribe/file", data={"audio": (io.BytesIO(speech), "a.wav")})

    assert_error(response, 400, "invalid_request", "send the audio as 'file'", param="audio")


def test_two_files_are_refused(
    client: FlaskClient, stored_files: StoredFiles, speech: bytes
) -> None:
    files = [(io.BytesIO(speech), "a.wav"), (io.BytesIO(speech), "b.wav")]

    response = client.post("/transcribe/file", data={"file": files})

    assert_error(response, 400, "invalid_request", "given twice", param="file")
    assert stored_files() == []


def test_an_option_in_both_query_and_form_is_refused(client: FlaskClient, speech: bytes) -> None:
    form = {"model": "demo", "file": (io.BytesIO(speech), "a.wav")}

    response = client.post("/transcribe/file?model=tiny", data=form)

    assert_error(response, 400, "invalid_request", "'model' was given twice", param="model")


@pytest.mark.parametrize("kept", [40, 300, -10])
def test_a_form_that_is_cut_short_is_refused(
    client: FlaskClient, stored_files: StoredFiles, speech: bytes, kept: int
) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        + speech
        + b"\r\n--x--\r\n"
    )

    response = client.post(
        "/transcribe/file", data=body[:kept], content_type="multipart/form-data; boundary=x"
    )

    assert_error(response, 400, "invalid_request", "broken or cut short")
    assert stored_files() == []


def test_a_form_without_a_boundary_is_refused(client: FlaskClient) -> None:
    response = client.post("/transcribe/file", data=b"x", content_type="multipart/form-data")

    assert_error(response, 400, "invalid_request", "boundary")


def test_a_field_that_is_not_utf8_is_refused(client: FlaskClient, speech: bytes) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n\xbb\xe1\xd2\r\n--x--\r\n'

    response = client.post(
        "/transcribe/file", data=body, content_type="multipart/form-data; boundary=x"
    )

    assert_error(response, 400, "invalid_request", "field 'prompt' is not UTF-8", param="prompt")


def test_a_thousand_fields_are_refused(client: FlaskClient) -> None:
    form = {f"f{n}": "x" for n in range(1000)}

    response = client.post("/transcribe/file", data=form, content_type="multipart/form-data")

    assert_error(response, 400, "invalid_request", "more than 100 fields")


def test_a_body_of_the_wrong_kind_is_sent_to_the_other_route(
    client: FlaskClient, speech: bytes
) -> None:
    as_form = client.post("/transcribe/binary", data={"file": (io.BytesIO(speech), "a.wav")})
    as_body = client.post("/transcribe/file", data=speech, content_type="audio/wav")

    assert_error(as_form, 415, "unsupported_media", "/transcribe/file")
    assert_error(as_body, 415, "unsupported_media", "/transcribe/binary")


def test_an_upload_over_the_limit_is_refused(
    make_client: Callable[..., FlaskClient], stored_files: StoredFiles, speech: bytes
) -> None:
    client = make_client(max_audio_bytes=10_000)

    as_form = upload(client, speech)
    as_body = client.post("/transcribe/binary", data=speech)

    message = "the limit is 10 kB (LONGHAND_MAX_AUDIO_BYTES)"
    assert_error(as_form, 413, "audio_too_large", message)
    assert_error(as_body, 413, "audio_too_large", f"the upload is 16.04 kB; {message}")
    assert stored_files() == []


def test_audio_longer_than_the_limit_is_refused(
    make_client: Callable[..., FlaskClient], stored_files: StoredFiles
) -> None:
    response = upload(make_client(max_audio_s=2), clips.wav(3.0))

    message = "the audio is 3 s long; the limit is 2 s (LONGHAND_MAX_AUDIO_S)"
    assert_error(response, 413, "audio_too_large", message, param="file")
    assert stored_files() == []


def test_a_header_that_lies_does_not_change_the_duration(client: FlaskClient) -> None:
    job_id = upload(client, clips.lying_mp3(), "talk.mp3").get_json()["job_id"]

    duration = client.get(f"/jobs/{job_id}").get_json()["duration"]

    assert duration == pytest.approx(25, abs=0.5)


def test_a_model_that_no_live_worker_can_load_is_refused(
    client: FlaskClient,
    live_worker: Callable[..., None],
    stored_files: StoredFiles,
    speech: bytes,
) -> None:
    live_worker("demo", "tiny")

    refused = upload(client, speech, model="large-v3")
    accepted = upload(client, speech, model="tiny")

    message = "no running worker has the model 'large-v3', and none may download it; they have demo"
    assert_error(refused, 404, "model_not_found", message, param="model")
    assert accepted.status_code == 202
    assert stored_files() == [f"jobs/{accepted.get_json()['job_id']}/audio"]


def test_a_model_that_a_live_worker_may_download_is_taken(
    client: FlaskClient, live_worker: Callable[..., None], speech: bytes
) -> None:
    live_worker("demo", can_download=True)

    assert upload(client, speech, model="large-v3").status_code == 202


def test_without_a_worker_a_job_is_accepted_and_waits(client: FlaskClient, speech: bytes) -> None:
    response = upload(client, speech, model="large-v3")

    assert response.status_code == 202
    assert response.get_json()["status"] == "queued"


@pytest.mark.parametrize(
    "job_id", ["0" * 32, "abc", "Z" * 32, "0" * 31 + "/", "..", "会议", "a" * 5000]
)
def test_an_unknown_or_malformed_job_is_not_found(client: FlaskClient, job_id: str) -> None:
    for path in (f"/jobs/{job_id}", f"/jobs/{job_id}/result"):
        response = client.get(path)

        assert response.status_code == 404
        assert response.get_json()["code"] in ("job_not_found", "not_found")


@pytest.mark.parametrize("path", ["/jobs/../x", "/jobs/..%2fx", "/jobs//result", "/nothing"])
def test_a_path_that_is_none_answers_json(client: FlaskClient, path: str) -> None:
    assert_error(client.get(path), 404, "not_found", "there is nothing at")


def test_a_wrong_method_answers_json_and_says_which_are_right(client: FlaskClient) -> None:
    response = client.put("/jobs")

    assert_error(response, 405, "method_not_allowed", "use GET")
    assert "GET" in response.headers["Allow"]
