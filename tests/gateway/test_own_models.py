"""Models that no catalogue knows: taken while a worker that has them lives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from work import newest, upload

from gateway.services import Services
from shared.catalogue import ModelEntry

LiveWorker = Callable[..., None]
MEDICAL = ModelEntry("medical", "")
ENGLISH = ModelEntry("medical-en", "", is_multilingual=False, translates=False)


def test_a_model_that_a_worker_published_is_listed_and_taken(
    client: FlaskClient, services: Services, live_worker: LiveWorker, speech: bytes
) -> None:
    live_worker("demo", own=[MEDICAL, ENGLISH])

    listed = client.get("/models").get_json()
    upload(client, speech, model="medical")

    assert listed["models"][:3] == ["demo", "medical", "medical-en"]
    assert [model["name"] for model in listed["data"]] == ["demo", "medical", "medical-en"]
    assert listed["data"][2] == {
        "name": "medical-en", "aliases": [], "is_multilingual": False, "translates": False,
        "present": 1, "loaded": 0, "warnings": [],
    }  # fmt: skip
    job = newest(services)
    assert job is not None and job.request.model == "medical"


def test_openais_routes_take_it_too(client: FlaskClient, live_worker: LiveWorker) -> None:
    live_worker("demo", own=[MEDICAL])

    names = [model["id"] for model in client.get("/v1/models").get_json()["data"]]
    assert names == ["demo", "medical"]
    assert client.get("/v1/models/medical").get_json()["id"] == "medical"


def test_what_it_cannot_do_is_refused(
    client: FlaskClient, live_worker: LiveWorker, speech: bytes
) -> None:
    live_worker("demo", own=[MEDICAL, ENGLISH])

    german = upload(client, speech, model="medical-en", language="de")
    translated = upload(client, speech, model="medical-en", task="translate")

    assert_error(german, 400, "invalid_request", "'medical-en' knows English", param="language")
    assert_error(translated, 400, "invalid_request", "that translate: medical", param="task")


def test_it_is_not_known_once_its_worker_is_gone(
    client: FlaskClient, services: Services, live_worker: LiveWorker, speech: bytes
) -> None:
    live_worker("demo", own=[MEDICAL], name="w2")
    live_worker("demo", can_download=True)
    services.workers.retire("w2")

    answer = upload(client, speech, model="medical")

    assert_error(answer, 404, "model_not_found", "'medical' is not known", param="model")
    assert "medical" not in client.get("/models").get_json()["models"]


def test_a_name_that_is_nearly_its_own_is_asked_about(
    client: FlaskClient, live_worker: LiveWorker, speech: bytes
) -> None:
    live_worker("demo", own=[MEDICAL])

    answer = upload(client, speech, model="medicla")

    assert_error(answer, 404, "model_not_found", "did you mean 'medical'?", param="model")


@pytest.mark.parametrize("is_there", [True, False], ids=["there", "not there"])
def test_it_may_be_the_default_of_a_site(
    make_client: Callable[..., FlaskClient],
    services: Services,
    live_worker: LiveWorker,
    speech: bytes,
    is_there: bool,
) -> None:
    client = make_client(default_model="medical")
    live_worker("demo", own=[MEDICAL] if is_there else [])

    answer = upload(client, speech)

    assert client.get("/models").get_json()["default"] == "medical"
    if is_there:
        assert answer.status_code == 202
    else:
        assert_error(answer, 404, "model_not_found", "no running worker has the model 'medical'")


def test_it_may_be_chosen_by_a_reload_and_equal_requests_share_a_run(
    client: FlaskClient, live_worker: LiveWorker, services: Services, speech: bytes
) -> None:
    live_worker("demo", own=[MEDICAL])

    answer = client.post("/reload", json={"model_name": "medical"})
    first, second = (upload(client, speech, cache="true") for _ in range(2))

    assert answer.get_json()["model"] == "medical"
    assert first.status_code == second.status_code == 202
    jobs = [services.jobs.get(a.get_json()["job_id"]) for a in (first, second)]
    assert [job.request.model for job in jobs] == ["medical"] * 2
