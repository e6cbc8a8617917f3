"""Callers who ask for it wait for their job; others are answered immediately."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from work import fail, meanwhile, newest, succeed, upload

from gateway.services import Services

WAITS = [
    ({"wait": "true"}, {}),
    ({"wait": "30"}, {}),
    ({}, {"Prefer": "respond-async, wait=30"}),
]


@pytest.mark.promise("C-02")
@pytest.mark.parametrize(("fields", "headers"), WAITS)
def test_callers_who_wait_are_answered_with_the_result(
    client: FlaskClient,
    services: Services,
    speech: bytes,
    fields: dict[str, str],
    headers: dict[str, str],
) -> None:
    with meanwhile(services, lambda record: succeed(services, record.id)):
        response = upload(client, speech, "早上.wav", headers=headers, **fields)

    value = response.get_json()
    assert response.status_code == 200
    assert response.headers.get("Preference-Applied") == ("wait=30" if headers else None)
    process_time = value.pop("process_time")
    assert process_time >= 0
    assert value == {
        "success": True,
        "job_id": value["job_id"],
        "status": "succeeded",
        "task": "transcribe",
        "text": "Good morning.",
        "language": "en",
        "info": {
            "language": "en",
            "language_probability": 0.98,
            "duration": 0.5,
            "duration_after_vad": 0.4,
            "transcription_options": {"temperature": 0.0},
        },
        "filename": "早上.wav",
        "model": "demo",
        "warnings": [{"code": "quiet", "message": "the recording is quiet"}],
    }


@pytest.mark.promise("C-16")
@pytest.mark.parametrize(
    ("fields", "has_segments", "path"),
    [
        ({}, False, "/transcribe/file"),
        ({"timestamps": "false"}, False, "/transcribe/file"),
        ({"timestamps": "true"}, True, "/transcribe/file"),
        ({"word_timestamps": "true"}, True, "/transcribe/file"),
        ({}, False, "/transcribe/binary"),
        ({"timestamps": "true"}, True, "/transcribe/binary"),
    ],
)
def test_segments_are_in_the_answer_when_asked_for(
    client: FlaskClient,
    services: Services,
    speech: bytes,
    fields: dict[str, str],
    has_segments: bool,
    path: str,
) -> None:
    with meanwhile(services, lambda record: succeed(services, record.id)):
        if path.endswith("binary"):
            response = client.post(path, query_string={"wait": "true"} | fields, data=speech)
        else:
            response = upload(client, speech, wait="true", **fields)

    value = response.get_json()
    assert ("segments" in value) is has_segments
    if has_segments:
        segment = value["segments"][0]
        assert (segment["start"], segment["end"]) == (0.123, 0.5)
        assert (segment["no_speech_prob"], segment["avg_logprob"]) == (0.01, -0.2)
        assert segment["words"][0]["word"] == " Good"


@pytest.mark.promise("C-02", "S4-11")
def test_a_site_may_make_waiting_the_default(
    make_client: Callable[..., FlaskClient], services: Services, speech: bytes
) -> None:
    client = make_client(default_wait_s=30.0)

    with meanwhile(services, lambda record: succeed(services, record.id)):
        waited = upload(client, speech)
    not_waited = upload(client, speech, wait="false")

    assert (waited.status_code, not_waited.status_code) == (200, 202)


@pytest.mark.promise("C-02")
def test_a_job_that_takes_longer_than_the_wait_is_answered_202(
    client: FlaskClient, speech: bytes
) -> None:
    response = upload(client, speech, wait="0.1")

    assert response.status_code == 202
    assert response.get_json()["status"] == "queued"


def test_a_wait_is_never_longer_than_the_site_allows(
    make_client: Callable[..., FlaskClient], speech: bytes
) -> None:
    client = make_client(max_wait_s=1.0)

    response = upload(client, speech, headers={"Prefer": "wait=86400"})

    assert response.status_code == 202
    assert response.headers["Preference-Applied"] == "wait=1"


def test_a_preference_that_is_not_understood_is_ignored(client: FlaskClient, speech: bytes) -> None:
    response = upload(client, speech, headers={"Prefer": "wait=soon, return=minimal"})

    assert response.status_code == 202
    assert "Preference-Applied" not in response.headers


@pytest.mark.promise("S4-10")
def test_a_job_that_fails_is_answered_with_its_own_error(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    error = {"code": "audio_unreadable", "message": "the audio breaks off"}

    with meanwhile(services, lambda record: fail(services, record.id, error)):
        response = upload(client, speech, wait="true")

    assert_error(response, 422, "audio_unreadable", "the audio breaks off")
    assert response.get_json()["job_id"] == newest(services).id


def test_a_job_cancelled_or_deleted_while_waited_for_is_answered_409(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    with meanwhile(services, lambda record: services.jobs.cancel(record.id)):
        cancelled = upload(client, speech, wait="true")
    services.jobs.delete(cancelled.get_json()["job_id"])
    with meanwhile(services, lambda record: services.jobs.delete(record.id)):
        deleted = upload(client, speech, wait="true")

    assert_error(cancelled, 409, "job_cancelled", "cancelled")
    # Deleting cancels first: the waiting request may see either, and nothing else.
    assert_error(deleted, 409, "job_cancelled", "the job was")
    assert deleted.get_json()["error"] in (
        "the job was cancelled",
        "the job was deleted before it ended",
    )
