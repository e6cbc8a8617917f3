"""The audio of a job, for a player that jumps about in it."""

from __future__ import annotations

from collections.abc import Callable

import clips
import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from gateway_process import GatewayProcess
from httpx2 import Client
from work import upload

from gateway.answering.media_types import media_type_of
from gateway.services import Services


@pytest.fixture
def url(client: FlaskClient, speech: bytes) -> str:
    """Where a job's audio is."""
    job_id = upload(client, speech, "a talk 会.html").get_json()["job_id"]
    return str(client.get(f"/jobs/{job_id}").get_json()["audio_url"])


def test_the_audio_is_what_was_sent(client: FlaskClient, url: str, speech: bytes) -> None:
    response = client.get(url, buffered=True)

    assert (response.status_code, response.data) == (200, speech)
    assert response.headers["Content-Type"] == "audio/wav"
    assert response.headers["Accept-Ranges"] == "bytes"
    disposition = response.headers["Content-Disposition"]
    assert disposition.startswith("inline;") and "%E4%BC%9A.html" in disposition
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [("bytes=0-99", 0, 100), ("bytes=40-", 40, None), ("bytes=-7", -7, None)],
)
def test_a_part_of_the_audio_is_given(
    client: FlaskClient, url: str, speech: bytes, wanted: str, start: int, end: int | None
) -> None:
    response = client.get(url, buffered=True, headers={"Range": wanted})

    assert (response.status_code, response.data) == (206, speech[start:end])
    assert response.headers["Content-Range"].endswith(f"/{len(speech)}")


def test_a_part_that_is_not_there_is_refused(client: FlaskClient, url: str, speech: bytes) -> None:
    response = client.get(url, buffered=True, headers={"Range": f"bytes={len(speech)}-"})

    assert response.status_code == 416
    assert response.headers["Content-Range"] == f"bytes */{len(speech)}"
    assert response.get_json()["success"] is False


@pytest.mark.parametrize(
    "wanted", ["bytes=5-2", "bytes=a-b", "bytes=", "bytes", "items=0-1", "0-1"]
)
def test_a_range_that_is_none_is_passed_over(
    client: FlaskClient, url: str, speech: bytes, wanted: str
) -> None:
    response = client.get(url, buffered=True, headers={"Range": wanted})

    assert (response.status_code, response.data) == (200, speech)


@pytest.mark.parametrize(
    ("wanted", "status"),
    [("bytes=-0", 416), ("bytes=-99999999", 206), ("bytes=0-99999999", 206), ("Bytes=0-1", 206)],
)
def test_a_range_at_the_edges(client: FlaskClient, url: str, wanted: str, status: int) -> None:
    assert client.get(url, buffered=True, headers={"Range": wanted}).status_code == status


def test_several_parts_at_once_are_given_as_the_whole(
    client: FlaskClient, url: str, speech: bytes
) -> None:
    response = client.get(url, buffered=True, headers={"Range": "bytes=0-1,5-6"})

    assert (response.status_code, response.data) == (200, speech)


def test_a_part_is_of_the_very_audio_that_was_seen_before(
    client: FlaskClient, url: str, speech: bytes
) -> None:
    tag = client.get(url, buffered=True).headers["ETag"]

    same = client.get(url, buffered=True, headers={"Range": "bytes=0-9", "If-Range": tag})
    other = client.get(url, buffered=True, headers={"Range": "bytes=0-9", "If-Range": '"another"'})
    known = client.get(url, buffered=True, headers={"If-None-Match": tag})

    assert (same.status_code, other.status_code, known.status_code) == (206, 200, 304)
    assert (same.data, other.data, known.data) == (speech[:10], speech, b"")


def test_the_head_alone_tells_the_length(client: FlaskClient, url: str, speech: bytes) -> None:
    response = client.head(url, buffered=True)

    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["Content-Length"] == str(len(speech))


def test_audio_that_was_removed_is_gone(client: FlaskClient, services: Services, url: str) -> None:
    job_id = url.split("/")[2]
    services.storage.delete_all(f"jobs/{job_id}")

    assert_error(client.get(url, buffered=True), 410, "audio_gone", "LONGHAND_KEEP_AUDIO_S")


def test_nobody_elses_audio_is_found(client: FlaskClient) -> None:
    assert_error(client.get(f"/jobs/{'0' * 32}/audio"), 404, "job_not_found", "there is no job")


def test_parts_are_given_over_a_socket(
    start_gateway: Callable[..., GatewayProcess], speech: bytes
) -> None:
    gateway = start_gateway()
    with Client(base_url=gateway.url, timeout=30) as http:
        sent = http.post("/transcribe/file", files={"file": ("a.wav", speech)})
        path = f"/jobs/{sent.json()['job_id']}/audio"
        part = http.get(path, headers={"Range": "bytes=100-199"})
        whole, head = http.get(path), http.head(path)

    assert (part.status_code, part.content) == (206, speech[100:200])
    assert (whole.content, head.content) == (speech, b"")
    assert head.headers["content-length"] == str(len(speech))


@pytest.mark.parametrize(
    ("container", "codec", "media_type"),
    [
        ("mp3", "mp3", "audio/mpeg"),
        ("flac", "flac", "audio/flac"),
        ("ogg", "libopus", "audio/ogg"),
        ("webm", "libopus", "audio/webm"),
        ("matroska", "libopus", "audio/x-matroska"),
        ("ipod", "aac", "audio/mp4"),
        ("mp4", "aac", "video/mp4"),
        ("mov", "aac", "video/quicktime"),
        ("adts", "aac", "audio/aac"),
        ("aiff", "pcm_s16be", "audio/aiff"),
        ("mpegts", "mp2", "video/mp2t"),
    ],
)
def test_a_media_type_is_told_by_the_bytes(container: str, codec: str, media_type: str) -> None:
    audio = clips.encoded(container, codec, rate_hz=48_000)

    assert media_type_of(audio[:4096]) == media_type


def test_what_is_no_audio_has_no_media_type_a_browser_would_run() -> None:
    assert media_type_of(b"<html><script>") == "application/octet-stream"
    assert media_type_of(b"") == "application/octet-stream"
