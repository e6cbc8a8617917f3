"""What became of a request: status, result, list, deletion."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from work import DIALOG, fail, succeed, upload

from gateway.services import Services
from shared.formats import FORMATS


@pytest.fixture
def job_id(client: FlaskClient, speech: bytes) -> str:
    """A queued job."""
    accepted = upload(client, speech, "会议录音.mp3", language="zh").get_json()
    assert isinstance(accepted["job_id"], str)
    return accepted["job_id"]


def test_a_queued_job_tells_what_was_asked(client: FlaskClient, job_id: str) -> None:
    response = client.get(f"/jobs/{job_id}")

    value = response.get_json()
    assert int(response.headers["Retry-After"]) >= 1
    assert value["created_at"].endswith("Z")
    assert value["request"]["language"] == "zh"
    expected = {
        "success": True,
        "job_id": job_id,
        "status": "queued",
        "progress": 0.0,
        "audio_done_s": 0.0,
        "started_at": None,
        "ended_at": None,
        "attempt": 1,
        "filename": "会议录音.mp3",
        "duration": 0.5,
        "error": None,
        "warnings": [],
        "model": None,
    }
    assert {name: value[name] for name in expected} == expected


def test_a_running_job_tells_its_stage_and_progress(
    client: FlaskClient, services: Services, job_id: str
) -> None:
    services.jobs.runs.claim(job_id, 1, "w1")
    services.jobs.runs.report(
        job_id, 1, {"stage": "transcribe", "progress": 0.25, "audio_done_s": 0.125}
    )

    value = client.get(f"/jobs/{job_id}").get_json()

    assert (value["status"], value["stage"]) == ("running", "transcribe")
    assert (value["progress"], value["audio_done_s"]) == (0.25, 0.125)
    assert value["started_at"] >= value["created_at"]


def test_a_job_that_succeeded_tells_its_model_and_warnings(
    client: FlaskClient, services: Services, job_id: str
) -> None:
    succeed(services, job_id)

    value = client.get(f"/jobs/{job_id}").get_json()

    assert (value["status"], value["progress"], value["model"]) == ("succeeded", 1.0, "demo")
    assert value["warnings"] == [{"code": "quiet", "message": "the recording is quiet"}]
    assert value["ended_at"] >= value["started_at"]


def test_a_job_that_failed_tells_its_error(
    client: FlaskClient, services: Services, job_id: str
) -> None:
    fail(services, job_id, {"code": "engine_failed", "message": "out of memory"})

    status = client.get(f"/jobs/{job_id}").get_json()
    result = client.get(f"/jobs/{job_id}/result")

    error = {"code": "engine_failed", "message": "out of memory"}
    assert (status["status"], status["error"]) == ("failed", error)
    assert_error(result, 409, "job_failed", "the job failed: out of memory")
    assert (result.get_json()["job_error"], result.get_json()["job_id"]) == (error, job_id)


def test_the_result_of_an_unfinished_job_is_not_there_yet(
    client: FlaskClient, services: Services, job_id: str
) -> None:
    queued = client.get(f"/jobs/{job_id}/result")
    services.jobs.runs.claim(job_id, 1, "w1")
    running = client.get(f"/jobs/{job_id}/result")

    assert_error(queued, 409, "job_not_finished", "the job is queued; ask again")
    assert_error(running, 409, "job_not_finished", "the job is running; ask again")
    assert int(queued.headers["Retry-After"]) >= 1


def test_the_result_of_a_cancelled_job_is_none(
    client: FlaskClient, services: Services, job_id: str
) -> None:
    services.jobs.cancel(job_id)

    assert_error(client.get(f"/jobs/{job_id}/result"), 409, "job_cancelled", "was cancelled")


def test_a_result_without_a_format_is_the_whole_answer(
    client: FlaskClient, services: Services, job_id: str
) -> None:
    succeed(services, job_id)

    plain = client.get(f"/jobs/{job_id}/result").get_json()
    timed = client.get(f"/jobs/{job_id}/result?timestamps=true").get_json()

    assert (plain["success"], plain["text"]) == (True, "Good morning.")
    assert "segments" not in plain
    assert timed["segments"][0]["text"] == " Good morning."


@pytest.mark.parametrize("name", FORMATS)
def test_a_result_is_rendered_in_any_format(
    client: FlaskClient, services: Services, job_id: str, name: str
) -> None:
    succeed(services, job_id, DIALOG)

    response = client.get(f"/jobs/{job_id}/result?format={name}")

    known = FORMATS[name]
    quoted = "%E4%BC%9A%E8%AE%AE%E5%BD%95%E9%9F%B3"
    assert response.status_code == 200
    assert response.headers["Content-Type"] == known.media_type
    assert response.headers["Content-Disposition"] == (
        f"inline; filename*=UTF-8''{quoted}.{known.extension}"
    )


def test_an_unknown_format_or_option_of_a_result_is_refused(
    client: FlaskClient, services: Services, job_id: str
) -> None:
    succeed(services, job_id)

    doc = client.get(f"/jobs/{job_id}/result?format=doc")
    formt = client.get(f"/jobs/{job_id}/result?formt=srt")

    assert_error(doc, 400, "invalid_request", "whisper, text, srt, vtt", param="format")
    assert_error(formt, 400, "invalid_request", "did you mean 'format'?", param="formt")


def test_a_result_that_is_gone_from_storage_is_not_found(
    client: FlaskClient, services: Services, job_id: str
) -> None:
    succeed(services, job_id)
    services.storage.delete_all(f"jobs/{job_id}/1")

    assert client.get(f"/jobs/{job_id}").get_json()["status"] == "succeeded"
    assert_error(client.get(f"/jobs/{job_id}/result"), 404, "job_not_found", "no longer stored")


def test_an_unknown_format_is_refused_before_the_job_has_ended(
    client: FlaskClient, job_id: str
) -> None:
    response = client.get(f"/jobs/{job_id}/result?format=doc")

    assert_error(response, 400, "invalid_request", "format 'doc' is not known", param="format")


def test_jobs_are_listed_newest_first(client: FlaskClient, job_id: str, speech: bytes) -> None:
    later = upload(client, speech).get_json()["job_id"]

    both = client.get("/jobs").get_json()
    one = client.get("/jobs?limit=1").get_json()

    assert [job["job_id"] for job in both["jobs"]] == [later, job_id]
    assert [job["job_id"] for job in one["jobs"]] == [later]


@pytest.mark.parametrize("limit", ["0", "x", "-1", "1001", "1.5"])
def test_a_list_of_no_possible_length_is_refused(client: FlaskClient, limit: str) -> None:
    response = client.get(f"/jobs?limit={limit}")

    assert_error(response, 400, "invalid_request", "a whole number from 1 to 1000", param="limit")


@pytest.mark.parametrize("ended", [False, True])
def test_deleting_a_job_leaves_nothing_of_it(
    client: FlaskClient,
    services: Services,
    stored_files: Callable[[], list[str]],
    job_id: str,
    ended: bool,
) -> None:
    if ended:
        succeed(services, job_id)

    response = client.delete(f"/jobs/{job_id}")

    value = response.get_json()
    assert (response.status_code, value["success"], value["deleted"]) == (200, True, True)
    assert value["status"] == ("succeeded" if ended else "cancelled")
    assert stored_files() == []
    assert_error(client.get(f"/jobs/{job_id}"), 404, "job_not_found", "there is no job")
    assert_error(client.delete(f"/jobs/{job_id}"), 404, "job_not_found", "there is no job")


def test_a_running_job_that_is_deleted_is_taken_from_its_worker(
    client: FlaskClient, services: Services, job_id: str
) -> None:
    services.jobs.runs.claim(job_id, 1, "w1")

    client.delete(f"/jobs/{job_id}")

    assert services.jobs.runs.report(job_id, 1, {"progress": 0.5}) is False
