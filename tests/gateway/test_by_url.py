"""Audio by its address: one job of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from work import succeed

from gateway.services import Services


@pytest.mark.parametrize("kind", ["json", "data"])
def test_audio_is_taken_from_a_url(fetching: FlaskClient, speech: bytes, kind: str) -> None:
    fields = {"url": "https://example.org/talk.wav", "language": "en"}

    response = fetching.post("/transcribe/url", **{kind: fields})

    assert response.status_code == 202
    job = fetching.get(response.headers["Location"]).get_json()
    assert (job["filename"], job["n_bytes"]) == ("talk.wav", len(speech))
    assert job["request"]["language"] == "en"


@pytest.mark.promise("S0-19")
@pytest.mark.parametrize(("asked", "has_segments"), [({}, True), ({"timestamps": False}, False)])
def test_audio_of_a_url_is_answered_with_segments_unless_they_are_not_wanted(
    fetching: FlaskClient, services: Services, asked: dict[str, bool], has_segments: bool
) -> None:
    fields = {"url": "https://example.org/talk.wav", **asked}
    job = fetching.post("/transcribe/url", json=fields).get_json()

    succeed(services, job["job_id"])

    assert ("segments" in fetching.get(job["result_url"]).get_json()) == has_segments


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({}, 400, "url"),
        ({"url": 5}, 400, "url"),
        ({"url": "https://example.org/talk.wav", "modle": "x"}, 400, "modle"),
        ({"url": "https://example.org/talk"}, 422, "url"),
    ],
)
def test_a_url_that_cannot_be_taken_is_refused(
    fetching: FlaskClient,
    stored_files: Callable[[], list[str]],
    fields: dict[str, object],
    status: int,
    param: str,
) -> None:
    response = fetching.post("/transcribe/url", json=fields)

    assert (response.status_code, response.get_json()["param"]) == (status, param)
    assert stored_files() == []
