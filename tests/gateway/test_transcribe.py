"""Audio in, a job out: accepted at once, or waited for."""

from __future__ import annotations

import hashlib
import io
from urllib.parse import quote, unquote

import clips
import pytest
from flask.testing import FlaskClient
from work import upload

from gateway.reading.audio import clean_filename
from gateway.services import Services


@pytest.mark.promise("C-02")
def test_an_upload_is_accepted_and_names_its_job(client: FlaskClient, speech: bytes) -> None:
    response = upload(client, speech)

    value = response.get_json()
    job_id = value["job_id"]
    assert response.status_code == 202
    assert response.headers["Location"] == f"/jobs/{job_id}"
    assert value == {
        "success": True,
        "job_id": job_id,
        "status": "queued",
        "status_url": f"/jobs/{job_id}",
        "result_url": f"/jobs/{job_id}/result",
    }


def test_the_stored_audio_is_the_upload_and_is_known_by_its_hash(
    client: FlaskClient, services: Services
) -> None:
    audio = clips.wav(10.0)

    job_id = upload(client, audio).get_json()["job_id"]

    stored = services.jobs.get(job_id).audio
    assert services.storage.read(stored.key) == audio
    assert stored.sha256 == hashlib.sha256(audio).hexdigest()
    assert (stored.n_bytes, stored.duration_s) == (len(audio), 10.0)


def test_the_options_travel_with_the_job(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    response = upload(
        client,
        speech,
        model="small",
        language="Chinese",
        task="translate",
        word_timestamps="true",
        prompt="霍去病, 大将军",
        temperature="0.2",
    )

    request = services.jobs.get(response.get_json()["job_id"]).request
    assert (request.model, request.language, request.task) == ("small", "zh", "translate")
    assert request.word_timestamps and request.timestamps is None
    assert (request.prompt, request.temperature) == ("霍去病, 大将军", 0.2)


def test_options_may_stand_in_the_query_of_a_form(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    form = {"file": (io.BytesIO(speech), "a.wav")}

    response = client.post("/transcribe/file?language=en", data=form)

    assert services.jobs.get(response.get_json()["job_id"]).request.language == "en"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("会议录音.mp3", "会议录音.mp3"),
        ("../../etc/passwd", "passwd"),
        ("C:\\talks\\talk.mp3", "talk.mp3"),
        ("a\x07b\u202etxt.wav", "abtxt.wav"),
        ("x" * 300 + ".mp3", "x" * 251 + ".mp3"),
        ('quo"te.wav', 'quo"te.wav'),
    ],
)
def test_a_filename_is_kept_as_data(
    client: FlaskClient, services: Services, speech: bytes, name: str, kept: str
) -> None:
    # A form would lose backslashes and quotes on the way, by its own rules.
    response = client.post("/transcribe/binary", query_string={"filename": name}, data=speech)

    assert services.jobs.get(response.get_json()["job_id"]).audio.filename == kept


def test_a_filename_in_a_form_is_read_as_utf8(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    job_id = upload(client, speech, "会议录音.mp3").get_json()["job_id"]

    assert services.jobs.get(job_id).audio.filename == "会议录音.mp3"


def test_a_filename_in_another_encoding_does_not_cost_the_upload(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    disposition = b'Content-Disposition: form-data; name="file"; filename="'
    body = b"--x\r\n" + disposition + "会议.wav".encode("gbk") + b'"\r\n\r\n' + speech
    body += b"\r\n--x--\r\n"

    response = client.post(
        "/transcribe/file", data=body, content_type="multipart/form-data; boundary=x"
    )

    record = services.jobs.get(response.get_json()["job_id"])
    assert record.audio.filename.endswith(".wav")


NAMES_AS_WRITTEN = {
    # By browsers and requests: a backslash is one, a quote is %22.
    "talk\\": "talk\\",
    "talk\\1": "talk\\1",
    "%22best%22 talk": '"best" talk',
    # By older curls, which escape both.
    '\\"best\\"': '"best"',
    "talk\\\\1": "talk\\1",
}


@pytest.mark.parametrize(("written", "meant"), NAMES_AS_WRITTEN.items())
def test_the_name_of_a_part_is_read_as_clients_write_it(
    client: FlaskClient, services: Services, speech: bytes, written: str, meant: str
) -> None:
    head = "--x\r\nContent-Disposition: form-data; "
    field = f'{head}name="{written}"\r\n\r\n1\r\n'
    file = f'{head}name="file"; filename="{written}"\r\n\r\n'
    body = field.encode() + file.encode() + speech + b"\r\n--x--\r\n"

    answer = client.post(
        "/transcribe/async", data=body, content_type="multipart/form-data; boundary=x"
    )

    assert answer.status_code == 202, answer.text
    assert unquote(answer.headers["X-Longhand-Ignored"]) == meant
    [job_id] = [job["job_id"] for job in client.get("/jobs").get_json()["jobs"]]
    assert services.jobs.get(job_id).audio.filename == clean_filename(meant)


CONTENT_TYPES = [None, "application/x-www-form-urlencoded", "application/octet-stream", "audio/x"]


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_a_raw_body_is_audio_whatever_its_content_type(
    client: FlaskClient, services: Services, content_type: str | None
) -> None:
    audio = clips.encoded("mp3", "libmp3lame")

    response = client.post(
        "/transcribe/binary?model=demo&ext=wav", data=audio, content_type=content_type
    )

    assert response.status_code == 202
    stored = services.jobs.get(response.get_json()["job_id"]).audio
    assert services.storage.read(stored.key) == audio
    assert stored.filename == "audio.wav"


def test_a_raw_body_may_be_named(client: FlaskClient, services: Services, speech: bytes) -> None:
    response = client.post(f"/transcribe/binary?filename={quote('会议.wav')}", data=speech)

    assert services.jobs.get(response.get_json()["job_id"]).audio.filename == "会议.wav"


@pytest.mark.promise("S0-10", "S0-29", "S3-06", "S4-14", "C-11")
@pytest.mark.parametrize(
    ("container", "codec", "rate_hz"),
    [
        ("wav", "pcm_s16le", 16_000),
        ("mp3", "libmp3lame", 16_000),
        ("flac", "flac", 16_000),
        ("ogg", "libopus", 48_000),
        ("webm", "libopus", 48_000),
        ("matroska", "flac", 16_000),
        ("ipod", "aac", 16_000),
        ("mp4", "aac", 16_000),
        ("mov", "aac", 16_000),
        ("adts", "aac", 16_000),
        ("aiff", "pcm_s16be", 16_000),
        ("mpeg", "mp2", 16_000),
        ("mpegts", "aac", 16_000),
        ("avi", "pcm_s16le", 16_000),
    ],
)
def test_audio_is_known_by_its_content_in_every_usual_container(
    client: FlaskClient, services: Services, container: str, codec: str, rate_hz: int
) -> None:
    audio = clips.encoded(container, codec, rate_hz=rate_hz)

    response = upload(client, audio, "recording.bin")

    record = services.jobs.get(response.get_json()["job_id"])
    assert record.audio.duration_s == pytest.approx(1.0, abs=0.15)
