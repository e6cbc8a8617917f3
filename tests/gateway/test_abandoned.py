"""Callers who hang up while they wait: their job ends some time later, unless somebody knows it."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from waiting import wait_until
from werkzeug.test import TestResponse
from work import newest, succeed, upload

from gateway.services import Services
from shared.keys import ABANDONED

GONE = {"waitress.client_disconnected": lambda: True}
HERE = {"waitress.client_disconnected": lambda: False}
KEY = {"Idempotency-Key": "once"}


@pytest.fixture
def impatient(make_client: Callable[..., FlaskClient]) -> FlaskClient:
    """A client of a site that gives callers no time to come back."""
    return make_client(abandon_after_s=0.0)


def hang_up(client: FlaskClient, audio: bytes, **options: object) -> None:
    """Send audio, wait for the result and be gone."""
    client.post("/transcribe/binary?wait=60", data=audio, environ_overrides=GONE, **options)


def test_the_job_of_a_caller_who_hung_up_is_cancelled(
    impatient: FlaskClient, services: Services, speech: bytes
) -> None:
    hang_up(impatient, speech)

    job = newest(services)
    assert job is not None and job.status == "queued"
    assert wait_until(services.jobs.cancel_abandoned, 10, "abandoned") == [job.id]
    assert services.jobs.get(job.id).status == "cancelled"


def test_a_synchronous_route_lets_go_of_its_job_as_well(
    impatient: FlaskClient, services: Services, speech: bytes
) -> None:
    impatient.post(
        "/v1/audio/transcriptions",
        data={"file": (io.BytesIO(speech), "a.wav")},
        environ_overrides=GONE,
    )

    assert wait_until(services.jobs.cancel_abandoned, 10, "abandoned") == [newest(services).id]


def test_a_job_whose_id_was_handed_out_goes_on(
    impatient: FlaskClient, services: Services, speech: bytes
) -> None:
    impatient.post("/transcribe/binary", data=speech, environ_overrides=GONE)
    impatient.post("/transcribe/binary?wait=0.1&cache=false", data=speech, environ_overrides=HERE)

    assert services.jobs.cancel_abandoned() == []


def test_a_job_known_by_its_key_is_not_ended_by_a_later_connection(
    impatient: FlaskClient, services: Services, speech: bytes
) -> None:
    impatient.post("/transcribe/binary", data=speech, headers=KEY)
    hang_up(impatient, speech, headers=KEY)

    assert services.jobs.cancel_abandoned() == []


def test_callers_who_come_again_with_their_key_have_their_job_back(
    impatient: FlaskClient, services: Services, speech: bytes
) -> None:
    hang_up(impatient, speech, headers=KEY)
    again = impatient.post("/transcribe/binary", data=speech, headers=KEY)

    assert services.jobs.cancel_abandoned() == []
    assert again.get_json()["job_id"] == newest(services).id


def test_a_caller_who_posts_again_is_served_by_the_run_that_was_abandoned(
    impatient: FlaskClient, services: Services, speech: bytes
) -> None:
    hang_up(impatient, speech)
    first = newest(services)
    assert first is not None
    second = upload(impatient, speech).get_json()["job_id"]  # equal, though sent otherwise

    wait_until(services.jobs.cancel_abandoned, 10, "abandoned")
    succeed(services, first.id)

    assert impatient.get(f"/jobs/{second}/result").get_json()["text"] == "Good morning."
    assert services.jobs.get(first.id).status == "cancelled"


def test_a_job_that_ended_before_its_caller_left_is_kept(
    impatient: FlaskClient, services: Services, speech: bytes
) -> None:
    job_id = upload(impatient, speech).get_json()["job_id"]
    succeed(services, job_id)
    hang_up(impatient, speech)

    assert services.jobs.cancel_abandoned() == []
    assert services.jobs.get(newest(services).id).status == "succeeded"


def test_one_reader_of_a_stream_who_leaves_does_not_end_it_for_the_others_of_its_key(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    def read(environ: dict[str, Callable[[], bool]]) -> TestResponse:
        form = {"file": (io.BytesIO(speech), "a.wav"), "stream": "true"}
        return client.post(
            "/v1/audio/transcriptions", data=form, headers=KEY, environ_overrides=environ
        )

    first = read(HERE)
    read(GONE).get_data()

    job = newest(services)
    assert job is not None and job.status == "queued"
    succeed(services, job.id)
    assert "transcript.text.done" in first.get_data(as_text=True)


def test_a_caller_who_waits_with_the_key_keeps_a_job_whose_other_caller_is_gone(
    make_client: Callable[..., FlaskClient], services: Services, speech: bytes
) -> None:
    client = make_client(abandon_after_s=60.0)
    answers: list[TestResponse] = []
    looks: list[None] = []

    def look() -> bool:
        looks.append(None)
        return False

    def wait() -> None:
        path = "/transcribe/binary?wait=60"
        environ = {"waitress.client_disconnected": look}
        caller = client.application.test_client()
        answers.append(caller.post(path, data=speech, headers=KEY, environ_overrides=environ))

    waiter = threading.Thread(target=wait)
    waiter.start()
    wait_until(lambda: len(looks) > 1, 20, "a caller who waits")
    job = newest(services)
    assert job is not None
    services.jobs.callers.abandon(job.id, 60.0)  # as after the hang-up of an earlier caller

    wait_until(lambda: not services.redis.zcard(ABANDONED), 20, "a job that is kept")
    succeed(services, job.id)
    waiter.join(20)
    assert [answer.status_code for answer in answers] == [200]
