"""Uploads in parts, by the rules of tus 1.0.0."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from werkzeug.test import TestResponse
from work import newest

from gateway.reading.resumable import MOST_PART_BYTES
from gateway.services import Services

TUS = {"Tus-Resumable": "1.0.0"}
PART = {"Content-Type": "application/offset+octet-stream"}


def begin(client: FlaskClient, n_bytes: int, **headers: str) -> TestResponse:
    """Begin an upload."""
    return client.post("/uploads", headers={**TUS, "Upload-Length": str(n_bytes), **headers})


def send(client: FlaskClient, url: str, offset: int, part: bytes, **headers: str) -> TestResponse:
    """Send a part."""
    return client.patch(
        url, data=part, headers={**TUS, **PART, "Upload-Offset": str(offset), **headers}
    )


def encoded(value: str | bytes) -> str:
    """Base64."""
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def test_the_protocol_is_told(client: FlaskClient) -> None:
    response = client.options("/uploads")

    assert (response.status_code, response.data) == (204, b"")
    assert response.headers["Tus-Version"] == response.headers["Tus-Resumable"] == "1.0.0"
    assert response.headers["Tus-Extension"] == "creation,expiration,termination,checksum"
    assert response.headers["Tus-Max-Size"] == "500000000"


def test_an_upload_in_parts_becomes_a_job(
    client: FlaskClient, services: Services, speech: bytes, stored_files: Callable[[], list[str]]
) -> None:
    metadata = f"filename {encoded('会议.wav')},is_final"
    created = begin(client, len(speech), **{"Upload-Metadata": metadata})
    url = created.headers["Location"]
    first = send(client, url, 0, speech[:5000])
    between = client.head(url, headers=TUS)
    second = send(client, url, 5000, speech[5000:])
    accepted = client.post(
        "/transcribe/upload", json={"upload": created.get_json()["upload"], "language": "en"}
    )

    assert (created.status_code, first.status_code, second.status_code) == (201, 204, 204)
    assert (created.headers["Upload-Offset"], first.headers["Upload-Offset"]) == ("0", "5000")
    assert between.headers["Upload-Offset"] == "5000"
    assert between.headers["Upload-Length"] == str(len(speech))
    assert between.headers["Upload-Metadata"] == metadata
    assert between.headers["Cache-Control"] == "no-store"
    assert "GMT" in between.headers["Upload-Expires"]
    assert accepted.status_code == 202
    job = newest(services)
    assert (job.audio.filename, job.request.language) == ("会议.wav", "en")
    assert job.audio.sha256 == hashlib.sha256(speech).hexdigest()
    assert stored_files() == [f"jobs/{job.id}/audio"]
    assert_error(
        client.head(url, headers=TUS)
        and client.post("/transcribe/upload", json={"upload": created.get_json()["upload"]}),
        404,
        "upload_not_found",
        "there is no upload",
    )


def test_an_upload_with_an_idempotency_key_may_be_made_a_job_again(
    client: FlaskClient, speech: bytes
) -> None:
    created = begin(client, len(speech))
    send(client, created.headers["Location"], 0, speech)
    body = {"upload": created.get_json()["upload"]}

    first = client.post("/transcribe/upload", data=body, headers={"Idempotency-Key": "u"})
    again = client.post("/transcribe/upload", data=body, headers={"Idempotency-Key": "u"})

    assert first.get_json() == again.get_json()


def test_a_part_for_another_place_is_refused(client: FlaskClient, speech: bytes) -> None:
    url = begin(client, len(speech)).headers["Location"]
    send(client, url, 0, speech[:100])

    again = send(client, url, 0, speech[:100])
    beyond = send(client, url, 200, speech[200:300])

    assert_error(again, 409, "upload_conflict", "stands at 100", param="Upload-Offset")
    assert_error(beyond, 409, "upload_conflict", "stands at 100")


def test_an_unfinished_or_empty_upload_becomes_no_job(client: FlaskClient, speech: bytes) -> None:
    short = begin(client, len(speech)).get_json()["upload"]
    empty = begin(client, 0).get_json()["upload"]

    unfinished = client.post("/transcribe/upload", json={"upload": short})
    nothing = client.post("/transcribe/upload", json={"upload": empty})
    unnamed = client.post("/transcribe/upload", json={})

    assert_error(unfinished, 409, "upload_conflict", f"0 of its {len(speech)} bytes")
    assert_error(nothing, 422, "audio_unreadable", "the upload is empty")
    assert_error(unnamed, 400, "invalid_request", "field 'upload' is missing", param="upload")


def test_a_part_that_is_too_large_is_refused(
    client: FlaskClient, stored_files: Callable[[], list[str]]
) -> None:
    url = begin(client, 2 * MOST_PART_BYTES).headers["Location"]
    small = begin(client, 10).headers["Location"]

    large = send(client, url, 0, bytes(MOST_PART_BYTES + 1))
    over = send(client, small, 0, bytes(11))
    just = send(client, url, 0, bytes(MOST_PART_BYTES))

    assert_error(large, 413, "audio_too_large", f"{MOST_PART_BYTES} bytes at most")
    assert_error(over, 413, "audio_too_large", "after the end of the upload")
    assert just.status_code == 204
    assert len(stored_files()) == 1


def test_an_upload_over_the_limit_is_not_begun(client: FlaskClient) -> None:
    response = begin(client, 500_000_001)

    assert_error(response, 413, "audio_too_large", "LONGHAND_MAX_AUDIO_BYTES")


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
def test_a_part_is_held_to_its_checksum(
    client: FlaskClient, speech: bytes, algorithm: str, stored_files: Callable[[], list[str]]
) -> None:
    url = begin(client, 100).headers["Location"]
    right = encoded(hashlib.new(algorithm, speech[:100]).digest())

    wrong = send(client, url, 0, speech[1:101], **{"Upload-Checksum": f"{algorithm} {right}"})
    assert_error(wrong, 460, "checksum_mismatch", "send it again")
    assert stored_files() == []
    kept = send(client, url, 0, speech[:100], **{"Upload-Checksum": f"{algorithm} {right}"})
    unknown = send(client, url, 0, b"", **{"Upload-Checksum": "crc7 AAAA"})

    assert kept.status_code == 204
    assert_error(unknown, 400, "invalid_request", "sha1, sha256, md5")


def test_an_upload_is_removed(
    client: FlaskClient, speech: bytes, stored_files: Callable[[], list[str]]
) -> None:
    url = begin(client, len(speech)).headers["Location"]
    send(client, url, 0, speech[:100])

    removed = client.delete(url, headers=TUS)

    assert (removed.status_code, stored_files()) == (204, [])
    assert client.head(url, headers=TUS).status_code == 404
    assert_error(send(client, url, 100, b"x"), 404, "upload_not_found", "LONGHAND_UPLOAD_TTL_S")


@pytest.mark.parametrize("headers", [{}, {"Tus-Resumable": "0.2.2"}])
def test_another_version_of_the_protocol_is_refused(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    response = client.post("/uploads", headers={"Upload-Length": "5", **headers})

    assert response.status_code == 412
    assert response.headers["Tus-Version"] == "1.0.0"


@pytest.mark.parametrize(
    ("headers", "param"),
    [
        ({}, "Upload-Length"),
        ({"Upload-Length": "-1"}, "Upload-Length"),
        ({"Upload-Length": "9" * 30}, "Upload-Length"),
        ({"Upload-Length": "5", "Upload-Metadata": "filename %%%"}, "Upload-Metadata"),
        ({"Upload-Length": "5", "Upload-Metadata": ",filename eA=="}, "Upload-Metadata"),
        ({"Upload-Length": "5", "Upload-Metadata": "x " + "A" * 9000}, "Upload-Metadata"),
    ],
)
def test_an_upload_that_is_not_well_announced_is_refused(
    client: FlaskClient, headers: dict[str, str], param: str
) -> None:
    response = client.post("/uploads", headers=TUS | headers)

    assert_error(response, 400, "invalid_request", param, param=param)


def test_a_part_of_another_type_is_refused(client: FlaskClient) -> None:
    url = begin(client, 5).headers["Location"]

    response = client.patch(url, data=b"x", headers={**TUS, "Upload-Offset": "0"})

    assert_error(response, 415, "unsupported_media", "application/offset+octet-stream")


def test_post_may_stand_for_another_method(client: FlaskClient, speech: bytes) -> None:
    url = begin(client, 100).headers["Location"]
    headers = {**TUS, **PART, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}

    part = client.post(url, data=speech[:100], headers=headers)
    none = client.post(url, headers=TUS)

    assert (part.status_code, part.headers["Upload-Offset"]) == (204, "100")
    assert none.status_code == 405


def test_an_owner_may_have_so_many_uploads(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(max_uploads=2, trusted_proxies="127.0.0.1/32")
    ann, bob = {"X-Remote-User": "ann"}, {"X-Remote-User": "bob"}

    of_ann = [begin(client, 5, **ann) for _ in range(3)]
    of_bob = begin(client, 5, **bob)
    client.delete(of_ann[0].headers["Location"], headers=TUS | ann)

    assert [answer.status_code for answer in of_ann] == [201, 201, 429]
    assert "LONGHAND_MAX_UPLOADS" in of_ann[2].get_json()["error"]
    assert int(of_ann[2].headers["Retry-After"]) > 0
    assert of_bob.status_code == 201
    assert begin(client, 5, **ann).status_code == 201
    other = of_bob.headers["Location"]
    assert client.head(other, headers=TUS | ann).status_code == 404


def test_many_uploads_begun_at_once_are_no_more_than_may_be(
    make_client: Callable[..., FlaskClient],
) -> None:
    client = make_client(max_uploads=5)

    at_once = Barrier(20)

    def call(_: int) -> TestResponse:
        caller = client.application.test_client()
        caller.get("/jobs")  # each with a connection of its own to Redis
        at_once.wait(20)
        return begin(caller, 5)

    with ThreadPoolExecutor(20) as callers:
        answers = list(callers.map(call, range(20)))

    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(201), statuses.count(429)) == (5, 15)


def test_an_upload_that_was_left_expires(client: FlaskClient, services: Services) -> None:
    created = begin(client, 5)
    left = services.redis.ttl(f"longhand:upload:{created.get_json()['upload']}")

    assert 86_000 < left <= 86_400
