"""One Idempotency-Key is one request; equal requests share one run, and nobody notices."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from work import TRANSCRIPT, newest, succeed, upload

from gateway.services import Services
from shared.transcript import Warned

KEY = {"Idempotency-Key": "order-17"}


def test_the_same_request_with_the_same_key_is_the_same_job(
    client: FlaskClient, services: Services, speech: bytes, stored_files: Callable[[], list[str]]
) -> None:
    first = upload(client, speech, headers=KEY, language="en")
    again = upload(client, speech, headers=KEY, language="en")
    succeed(services, first.get_json()["job_id"])
    later = upload(client, speech, headers=KEY, language="en")

    assert first.get_json() == again.get_json()
    assert (later.status_code, later.get_json()["job_id"]) == (202, first.get_json()["job_id"])
    assert len(client.get("/jobs").get_json()["jobs"]) == 1
    assert len({path.split("/")[1] for path in stored_files()}) == 1


@pytest.mark.parametrize(
    "changed", [{"language": "de"}, {"label": "x"}, {"priority": "low"}, {"cache": "false"}]
)
def test_another_request_with_the_same_key_is_refused(
    client: FlaskClient,
    speech: bytes,
    changed: dict[str, str],
    stored_files: Callable[[], list[str]],
) -> None:
    upload(client, speech, headers=KEY)
    before = stored_files()

    response = upload(client, speech, headers=KEY, **changed)

    assert_error(response, 422, "idempotency_mismatch", "was used for another request")
    assert stored_files() == before


@pytest.mark.parametrize("path", ["/transcribe/file", "/transcribe/batch", "/transcribe/async"])
def test_a_request_stays_the_same_when_the_site_chooses_other_defaults(
    make_client: Callable[..., FlaskClient], speech: bytes, path: str
) -> None:
    def post(client: FlaskClient) -> int:
        field = "files[]" if path.endswith("batch") else "file"
        form = {field: (io.BytesIO(speech), "a.wav")}
        return client.post(path, data=form, headers=KEY).status_code

    client = make_client()
    first = post(client)
    client.post("/reload", json={"model_name": "tiny"})

    assert post(client) == first
    assert post(make_client(default_chinese="s2tw")) == first
    assert len(client.get("/jobs").get_json()["jobs"]) == 1


def test_other_audio_or_another_path_is_another_request(client: FlaskClient, speech: bytes) -> None:
    upload(client, speech, headers=KEY)

    other_audio = upload(client, speech + bytes(2), headers=KEY)
    other_path = client.post("/transcribe/binary", data=speech, headers=KEY)

    assert (other_audio.status_code, other_path.status_code) == (422, 422)


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\tb"])
def test_a_key_that_is_none_is_refused(client: FlaskClient, speech: bytes, key: str) -> None:
    response = upload(client, speech, headers={"Idempotency-Key": key})

    assert_error(response, 400, "invalid_request", "1 to 255 printable", param="Idempotency-Key")


def test_the_key_of_a_deleted_job_may_be_used_again(client: FlaskClient, speech: bytes) -> None:
    first = upload(client, speech, headers=KEY).get_json()["job_id"]
    client.delete(f"/jobs/{first}")

    second = upload(client, speech, headers=KEY).get_json()["job_id"]

    assert second != first


def test_equal_requests_are_jobs_of_their_own_with_one_run(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    first = upload(client, speech).get_json()["job_id"]
    second = upload(client, speech, timestamps="true").get_json()["job_id"]
    succeed(services, first)
    third = upload(client, speech).get_json()["job_id"]

    values = [client.get(f"/jobs/{job_id}/result").get_json() for job_id in (first, second, third)]
    assert len({first, second, third}) == 3
    assert [value["text"] for value in values] == ["Good morning."] * 3
    assert services.jobs.figures.counts() == {"queued": 0, "running": 0}


@pytest.mark.parametrize(
    "changed", [{"language": "de"}, {"beam_size": "1"}, {"cache": "false"}, {"diarize": "true"}]
)
def test_what_changes_the_result_is_run_for_itself(
    client: FlaskClient, services: Services, speech: bytes, changed: dict[str, str]
) -> None:
    upload(client, speech)
    upload(client, speech, **changed)

    assert services.jobs.figures.counts()["queued"] == 2


def test_models_that_were_read_anew_run_anew(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    first = upload(client, speech).get_json()["job_id"]
    succeed(services, first)
    client.post("/reload")

    upload(client, speech)

    assert services.jobs.figures.counts()["queued"] == 1


@pytest.mark.parametrize(
    ("code", "n_runs"), [("alignment_failed", 1), ("diarization_failed", 1), ("option_ignored", 0)]
)
def test_a_result_with_a_stage_that_failed_is_given_to_nobody_later(
    client: FlaskClient, services: Services, speech: bytes, code: str, n_runs: int
) -> None:
    warned = (Warned(code=code, message="so it was"),)
    first = upload(client, speech).get_json()["job_id"]
    with_it = upload(client, speech).get_json()["job_id"]
    succeed(services, first, TRANSCRIPT.model_copy(update={"warnings": warned}))

    later = upload(client, speech).get_json()["job_id"]

    assert client.get(f"/jobs/{with_it}").get_json()["warnings"][0]["code"] == code
    assert services.jobs.figures.counts()["queued"] == n_runs
    if n_runs:
        succeed(services, later)
        upload(client, speech)
        assert services.jobs.figures.counts()["queued"] == 0  # the one that went well is given


@pytest.mark.parametrize(("scope", "n_runs"), [("owner", 2), ("site", 1)])
def test_owners_share_a_run_only_where_the_site_says_so(
    make_client: Callable[..., FlaskClient],
    services: Services,
    speech: bytes,
    scope: str,
    n_runs: int,
) -> None:
    client = make_client(trusted_proxies="127.0.0.1/32", cache_scope=scope)
    ids = [
        upload(client, speech, headers={"X-Remote-User": name}).get_json()["job_id"]
        for name in ("ann", "bob")
    ]

    assert services.jobs.figures.counts()["queued"] == n_runs
    for name, own, other in [("ann", *ids), ("bob", *ids[::-1])]:
        headers = {"X-Remote-User": name}
        assert other not in client.get(f"/jobs/{own}", headers=headers).get_data(as_text=True)
        assert client.get(f"/jobs/{other}", headers=headers).status_code == 404


def test_owners_do_not_meet_by_their_keys(
    make_client: Callable[..., FlaskClient], speech: bytes
) -> None:
    client = make_client(trusted_proxies="127.0.0.1/32")

    answers = [
        upload(client, speech, headers={"X-Remote-User": name, **KEY}, label=name)
        for name in ("ann", "bob")
    ]

    assert [answer.status_code for answer in answers] == [202, 202]


def test_cancelling_one_job_leaves_those_that_share_its_run(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    first = upload(client, speech).get_json()["job_id"]
    second = upload(client, speech).get_json()["job_id"]

    client.post(f"/jobs/{first}/cancel")
    succeed(services, first)

    assert client.get(f"/jobs/{first}").get_json()["status"] == "cancelled"
    assert client.get(f"/jobs/{second}/result").get_json()["text"] == "Good morning."
    assert newest(services) is not None
