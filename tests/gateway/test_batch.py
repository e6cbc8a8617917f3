"""Several recordings in one request: all become jobs, or none does."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Sequence

import clips
import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from waiting import wait_until
from werkzeug.test import TestResponse
from work import fail, succeed

from gateway.answering.batches import batch_status
from gateway.services import Services
from shared.records import Status


def post(
    client: FlaskClient,
    files: Sequence[tuple[str, bytes]],
    headers: dict[str, str] | None = None,
    **fields: str | list[str],
) -> TestResponse:
    """Send a batch."""
    form = {**fields, "files[]": [(io.BytesIO(audio), name) for name, audio in files]}
    return client.post("/transcribe/batch", data=form, headers=headers)


@pytest.fixture
def two(speech: bytes) -> list[tuple[str, bytes]]:
    """Two different recordings."""
    return [("a.wav", speech), ("会.wav", clips.wav(1.5))]


@pytest.mark.promise("S0-30")
def test_a_batch_is_a_parent_with_a_job_for_each_recording(
    client: FlaskClient, two: list[tuple[str, bytes]]
) -> None:
    response = post(client, two, label="Monday", language="en")

    value = response.get_json()
    assert (response.status_code, value["success"], value["status"]) == (202, True, "queued")
    assert response.headers["Location"] == value["status_url"] == f"/jobs/{value['job_id']}"
    assert value["counts"]["queued"] == 2
    assert [child["filename"] for child in value["children"]] == ["a.wav", "会.wav"]
    for child in value["children"]:
        assert (child["batch"], child["label"]) == (value["job_id"], "Monday")
        assert child["request"]["language"] == "en"
    shown = client.get(value["status_url"])
    assert shown.get_json() == value
    assert int(shown.headers["Retry-After"]) >= 1


@pytest.mark.parametrize(("n_parts", "status"), [(198, 202), (200, 400)])
def test_a_batch_may_have_a_hundred_fields_beside_a_hundred_files(
    client: FlaskClient, speech: bytes, n_parts: int, status: int
) -> None:
    head = '--x\r\nContent-Disposition: form-data; name="files[]"; filename="{}"\r\n\r\n'
    label = b'--x\r\nContent-Disposition: form-data; name="label"\r\n\r\nMonday\r\n'
    one = head.format("a.wav").encode() + speech + b"\r\n"
    not_chosen = (head.format("").encode() + b"\r\n") * (n_parts - 1)  # which cost no look into

    response = client.post(
        "/transcribe/batch",
        data=not_chosen + one + label + b"--x--\r\n",
        content_type="multipart/form-data; boundary=x",
    )

    assert response.status_code == status, response.text


def test_a_batch_tells_how_its_jobs_are(
    client: FlaskClient, services: Services, two: list[tuple[str, bytes]]
) -> None:
    value = post(client, two).get_json()
    first, second = [child["job_id"] for child in value["children"]]

    succeed(services, first)
    half = client.get(value["status_url"]).get_json()
    fail(services, second, {"code": "engine_failed", "message": "no"})
    ended = client.get(value["status_url"]).get_json()

    assert (half["status"], half["progress"]) == ("running", 0.25)
    assert (ended["status"], ended["progress"]) == ("failed", 1.0)
    assert (ended["counts"]["succeeded"], ended["counts"]["failed"]) == (1, 1)
    assert client.get(f"/jobs/{first}/result").status_code == 200


def test_callers_who_wait_for_a_batch_are_told_when_its_status_changes(
    client: FlaskClient, services: Services, two: list[tuple[str, bytes]]
) -> None:
    value = post(client, two).get_json()
    answers: list[TestResponse] = []

    def ask() -> None:
        asking = client.application.test_client()
        answers.append(asking.get(value["status_url"], headers={"Prefer": "wait=30"}))

    waiting = threading.Thread(target=ask)
    waiting.start()
    wait_until(lambda: services.waiting.n_held or answers, 20, "somebody who waits")
    succeed(services, value["children"][0]["job_id"])
    waiting.join(20)

    assert answers[0].get_json()["status"] == "running"
    assert answers[0].headers["Preference-Applied"] == "wait=30"
    timed_out = client.get(f"{value['status_url']}?wait=0.1").get_json()
    assert timed_out["counts"]["queued"] == 1


def test_a_batch_that_is_deleted_stood_as_its_jobs_did(
    client: FlaskClient, services: Services, two: list[tuple[str, bytes]]
) -> None:
    value = post(client, two).get_json()
    succeed(services, value["children"][0]["job_id"])

    assert client.delete(value["status_url"]).get_json()["status"] == "cancelled"


def test_what_is_done_to_a_batch_is_done_to_its_jobs(
    client: FlaskClient, two: list[tuple[str, bytes]], stored_files: Callable[[], list[str]]
) -> None:
    value = post(client, two).get_json()
    url = value["status_url"]

    cancelled = client.post(f"{url}/cancel").get_json()
    statuses = [client.get(c["status_url"]).get_json()["status"] for c in value["children"]]
    deleted = client.delete(url).get_json()

    assert (cancelled["status"], cancelled["cancelled"]) == ("cancelled", True)
    assert statuses == ["cancelled", "cancelled"]
    assert deleted["deleted"] is True
    assert stored_files() == []
    assert client.get(url).status_code == 404
    assert client.get(value["children"][0]["status_url"]).status_code == 404


def test_what_only_a_job_has_is_not_asked_of_a_batch(
    client: FlaskClient, two: list[tuple[str, bytes]]
) -> None:
    url = post(client, two).get_json()["status_url"]

    assert_error(client.get(f"{url}/result"), 404, "job_not_found", "is a batch")
    assert_error(client.post(f"{url}/retry"), 404, "job_not_found", "is a batch")


@pytest.mark.parametrize(
    ("files", "fields", "status", "message"),
    [
        ([("a.wav", None), ("notes.txt", clips.TEXT)], {}, 422, "'notes.txt': the file is not"),
        ([("a.wav", None), ("empty.wav", b"")], {}, 422, "'empty.wav': the file is empty"),
        ([("a.wav", None)], {"modle": "x"}, 400, "did you mean 'model'?"),
        ([("a.wav", None)], {"wait": "true"}, 400, "nobody waits for a batch"),
        ([("a.wav", None)], {"model": "nonsense"}, 404, "'nonsense' is not known"),
        ([], {}, 400, "no audio was sent"),
    ],
)
def test_if_one_recording_cannot_be_taken_none_is(
    client: FlaskClient,
    speech: bytes,
    stored_files: Callable[[], list[str]],
    files: list[tuple[str, bytes | None]],
    fields: dict[str, str],
    status: int,
    message: str,
) -> None:
    sent = [(name, speech if audio is None else audio) for name, audio in files]

    response = post(client, sent, **fields)

    assert response.status_code == status
    assert message in response.get_json()["error"]
    assert stored_files() == []
    assert client.get("/jobs").get_json()["jobs"] == []


def test_a_batch_is_not_made_twice_with_one_key(
    client: FlaskClient, two: list[tuple[str, bytes]], stored_files: Callable[[], list[str]]
) -> None:
    key = {"Idempotency-Key": "batch"}

    first = post(client, two, headers=key)
    before = stored_files()
    again = post(client, two, headers=key)
    other = post(client, two[:1], headers=key)

    assert first.get_json() == again.get_json()
    assert_error(other, 422, "idempotency_mismatch", "another request")
    assert stored_files() == before


def test_the_key_of_a_batch_whose_jobs_were_all_deleted_may_be_used_again(
    client: FlaskClient, two: list[tuple[str, bytes]]
) -> None:
    key = {"Idempotency-Key": "batch"}
    first = post(client, two, headers=key).get_json()
    for child in first["children"]:
        client.delete(child["status_url"])

    second = post(client, two, headers=key).get_json()

    assert second["job_id"] != first["job_id"]
    assert second["counts"]["queued"] == 2
    assert post(client, two, headers=key).get_json() == second


def test_a_batch_outlives_redis(
    client: FlaskClient, services: Services, two: list[tuple[str, bytes]]
) -> None:
    value = post(client, two).get_json()
    for child in value["children"]:
        succeed(services, child["job_id"])
    services.redis.flushall()

    after = client.get(value["status_url"]).get_json()

    assert (after["status"], after["counts"]["succeeded"]) == ("succeeded", 2)


def test_a_batch_none_of_whose_jobs_is_left_is_not_found(
    client: FlaskClient, services: Services, two: list[tuple[str, bytes]]
) -> None:
    value = post(client, two).get_json()
    first, second = [child["job_id"] for child in value["children"]]
    services.jobs.delete(first)
    assert client.get(value["status_url"]).get_json()["status"] == "queued"
    services.jobs.delete(second)

    assert_error(client.get(value["status_url"]), 404, "job_not_found", "there is no job")
    assert batch_status([]) == Status.QUEUED


def test_a_batch_of_another_owner_is_not_found(
    make_client: Callable[..., FlaskClient], two: list[tuple[str, bytes]]
) -> None:
    client = make_client(trusted_proxies="127.0.0.1/32")
    url = post(client, two, headers={"X-Remote-User": "ann"}).get_json()["status_url"]

    for method in (client.get, client.delete):
        assert method(url, headers={"X-Remote-User": "bob"}).status_code == 404


def test_urls_and_files_go_together(
    fetching: FlaskClient, two: list[tuple[str, bytes]], stored_files: Callable[[], list[str]]
) -> None:
    urls = ["https://example.org/x.wav", "https://example.org/y.wav"]

    both = post(fetching, two, **{"urls[]": urls}).get_json()
    alone = fetching.post("/transcribe/batch", json={"urls": urls, "language": "en"}).get_json()
    before = stored_files()
    missing = fetching.post("/transcribe/batch", json={"urls": [urls[0], "https://example.org/z"]})

    names = [child["filename"] for child in both["children"]]
    assert names == ["a.wav", "会.wav", "x.wav", "y.wav"]
    assert [child["filename"] for child in alone["children"]] == ["x.wav", "y.wav"]
    assert_error(missing, 422, "audio_unreachable", "'z': the URL answered 404")
    assert stored_files() == before
