"""A job is cancelled, tried again, called something else, and waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from waiting import wait_until
from werkzeug.test import TestResponse
from work import DIALOG, fail, succeed, upload

from gateway.app import create_app
from gateway.services import Services
from gateway.waiting.slots import Waiting
from shared.records import JobRecord

LOST = {"code": "worker_lost", "message": "three workers died"}


@pytest.fixture
def job_id(client: FlaskClient, speech: bytes) -> str:
    """A queued job."""
    return str(upload(client, speech, diarize="true").get_json()["job_id"])


def test_a_cancelled_job_keeps_what_was_sent(
    client: FlaskClient, services: Services, job_id: str
) -> None:
    first = client.post(f"/jobs/{job_id}/cancel")
    again = client.post(f"/jobs/{job_id}/cancel")

    assert (first.status_code, again.status_code) == (200, 200)
    expected = {"success": True, "job_id": job_id, "status": "cancelled", "cancelled": True}
    assert first.get_json() == expected
    assert again.get_json() == expected | {"cancelled": False}
    assert client.get(f"/jobs/{job_id}/audio", buffered=True).status_code == 200
    assert services.jobs.runs.claim(job_id, 1, "w1") is None


def test_a_job_that_succeeded_cannot_be_cancelled(
    client: FlaskClient, services: Services, job_id: str
) -> None:
    succeed(services, job_id)

    value = client.post(f"/jobs/{job_id}/cancel").get_json()

    assert (value["status"], value["cancelled"]) == ("succeeded", False)


def test_a_job_that_failed_is_tried_again_with_its_options(
    client: FlaskClient, services: Services, job_id: str
) -> None:
    fail(services, job_id, LOST)

    response = client.post(f"/jobs/{job_id}/retry")

    assert (response.status_code, response.headers["Location"]) == (202, f"/jobs/{job_id}")
    value = client.get(f"/jobs/{job_id}").get_json()
    assert (value["status"], value["error"], value["attempt"]) == ("queued", None, 2)
    assert value["request"]["diarize"] is True
    assert services.jobs.runs.claim(job_id, 2, "w1") is not None


def test_a_job_that_has_not_failed_is_not_tried_again(
    client: FlaskClient, services: Services, job_id: str
) -> None:
    queued = client.post(f"/jobs/{job_id}/retry")
    succeed(services, job_id)
    succeeded = client.post(f"/jobs/{job_id}/retry")

    assert_error(queued, 409, "job_not_retryable", "the job is queued")
    assert_error(succeeded, 409, "job_not_retryable", "the job is succeeded")


@pytest.mark.parametrize("format_name", ["srt", "vtt", "rttm", "tsv", "text", "verbose_json"])
def test_speakers_have_their_new_names_in_every_format(
    client: FlaskClient, services: Services, job_id: str, format_name: str
) -> None:
    succeed(services, job_id, DIALOG)

    before = client.get(f"/jobs/{job_id}/result?format={format_name}").get_data(as_text=True)
    client.patch(f"/jobs/{job_id}", json={"speaker_names": {"SPEAKER_00": "陈静"}})
    after = client.get(f"/jobs/{job_id}/result?format={format_name}").get_data(as_text=True)

    assert "SPEAKER_00" in before and "陈静" not in before
    assert "SPEAKER_00" not in after and "陈静" in after


def test_speakers_have_their_new_names_in_result_and_segments(
    client: FlaskClient, services: Services, job_id: str
) -> None:
    succeed(services, job_id, DIALOG)

    client.patch(f"/jobs/{job_id}", json={"speaker_names": {"SPEAKER_00": "Ann"}})
    result = client.get(f"/jobs/{job_id}/result").get_json()
    segments = client.get(f"/jobs/{job_id}/segments").get_json()

    assert result["segments"][0]["speaker"] == segments["segments"][0]["speaker"] == "Ann"
    assert result["turns"][0]["speaker"] == "Ann"
    assert client.get(f"/jobs/{job_id}/result?format=docx").status_code == 200


def test_what_a_change_does_not_name_stays_as_it_is(client: FlaskClient, job_id: str) -> None:
    client.patch(f"/jobs/{job_id}", json={"label": "Monday"})
    client.patch(f"/jobs/{job_id}", json={"speaker_names": {"SPEAKER_00": "Ann"}})
    both = client.get(f"/jobs/{job_id}").get_json()
    neither = client.patch(f"/jobs/{job_id}", json={"label": None, "speaker_names": {}}).get_json()

    assert (both["label"], both["speaker_names"]) == ("Monday", {"SPEAKER_00": "Ann"})
    assert (neither["label"], neither["speaker_names"]) == (None, {})


@pytest.mark.parametrize(
    ("changes", "message", "param"),
    [
        ({"lable": "x"}, "did you mean 'label'?", "lable"),
        ({"label": "x" * 201}, "label is 201 characters long; it must be at most 200", "label"),
        ({"label": 5}, "label", "label"),
        ({"speaker_names": {"SPEAKER_00": ""}}, "speaker_names", "speaker_names"),
        ({"speaker_names": ["Ann"]}, "speaker_names", "speaker_names"),
    ],
)
def test_a_change_that_is_not_possible_is_refused(
    client: FlaskClient, job_id: str, changes: dict[str, object], message: str, param: str
) -> None:
    assert_error(
        client.patch(f"/jobs/{job_id}", json=changes), 400, "invalid_request", message, param=param
    )


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"label=x", "application/x-www-form-urlencoded", 415),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"label": "\\ud800"}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"label": NaN}', "application/json", 400),
    ],
)
def test_a_change_that_is_no_json_object_is_refused(
    client: FlaskClient, job_id: str, body: bytes, content_type: str, status: int
) -> None:
    response = client.patch(f"/jobs/{job_id}", data=body, content_type=content_type)

    assert response.status_code == status
    assert response.get_json()["success"] is False


def test_a_job_tells_its_place_in_the_queue_and_what_was_said_of_it(
    client: FlaskClient, speech: bytes, job_id: str
) -> None:
    later = upload(client, speech, label="Tuesday", priority="low", cache="false").get_json()

    value = client.get(f"/jobs/{later['job_id']}").get_json()

    assert (value["queue_position"], value["label"], value["priority"]) == (2, "Tuesday", "low")
    assert client.get(f"/jobs/{job_id}").get_json()["queue_position"] == 1


def test_a_job_that_succeeded_tells_the_options_that_were_used(
    client: FlaskClient, services: Services, job_id: str
) -> None:
    assert services.jobs.runs.claim(job_id, 1, "w1") is not None
    services.jobs.runs.report(job_id, 1, {"stages_s": '{"decode": 0.25}'})
    services.jobs.runs.finish(job_id, 1, DIALOG)

    value = client.get(f"/jobs/{job_id}").get_json()

    assert (value["options"], value["stages_s"]) == ({"temperature": 0.0}, {"decode": 0.25})


class Watched(Waiting):
    """Waiting that tells when somebody has begun to."""

    begun = threading.Event()

    def watch(self, *arguments: Any, **options: Any) -> JobRecord:
        """See `Waiting.watch`."""
        self.begun.set()
        return super().watch(*arguments, **options)


@pytest.fixture
def wait_for(services: Services) -> Callable[..., TestResponse]:
    """A function that asks for a job and waits, and does something once it waits."""
    waiting = Watched(services.jobs, n_slots=2)
    app = create_app(services.settings, services=replace(services, waiting=waiting))

    def ask(url: str, act: Callable[[], object], headers: dict[str, str]) -> TestResponse:
        waiting.begun.clear()
        thread = threading.Thread(target=lambda: waiting.begun.wait(20) and act())
        thread.start()
        response = app.test_client().get(url, headers=headers)
        thread.join(20)
        return response

    return ask


@pytest.mark.parametrize(
    ("query", "headers"), [("?wait=30", {}), ("?wait=true", {}), ("", {"Prefer": "wait=30"})]
)
def test_callers_who_wait_for_a_job_are_told_when_its_status_changes(
    wait_for: Callable[..., TestResponse],
    services: Services,
    job_id: str,
    query: str,
    headers: dict[str, str],
) -> None:
    url = f"/jobs/{job_id}{query}"

    begun = wait_for(url, lambda: services.jobs.runs.claim(job_id, 1, "w1"), headers)
    ended = wait_for(url, lambda: services.jobs.runs.finish(job_id, 1, DIALOG), headers)

    assert begun.get_json()["status"] == "running"
    assert ended.get_json()["status"] == "succeeded"
    assert begun.headers.get("Preference-Applied") == ("wait=30" if headers else None)


def test_a_wait_for_a_job_ends_when_its_time_is_over(client: FlaskClient, job_id: str) -> None:
    response = client.get(f"/jobs/{job_id}?wait=0.1")

    assert (response.status_code, response.get_json()["status"]) == (200, "queued")
    assert_error(client.get(f"/jobs/{job_id}?wait=soon"), 400, "invalid_request", "wait is 'soon'")


def test_a_job_that_is_deleted_while_it_is_watched_is_not_found(
    wait_for: Callable[..., TestResponse], services: Services, job_id: str
) -> None:
    response = wait_for(f"/jobs/{job_id}?wait=30", lambda: services.jobs.delete(job_id), {})

    # Deleting cancels first: the waiting request may see either.
    assert response.status_code == 404 or response.get_json()["status"] == "cancelled"


def test_a_caller_who_watches_a_job_holds_a_waiting_slot(services: Services, job_id: str) -> None:
    waiting = Waiting(services.jobs, n_slots=1)
    app = create_app(services.settings, services=replace(services, waiting=waiting))
    answers = []
    holder = threading.Thread(
        target=lambda: answers.append(app.test_client().get(f"/jobs/{job_id}?wait=300"))
    )
    holder.start()
    wait_until(lambda: waiting.n_held, 30, "the slot is held")

    other = app.test_client().get(f"/jobs/{job_id}", headers={"Prefer": "wait=300"})
    services.jobs.runs.claim(job_id, 1, "w1")
    holder.join(30)

    assert (other.status_code, "Preference-Applied" in other.headers) == (200, False)
    assert answers[0].get_json()["status"] == "running"
