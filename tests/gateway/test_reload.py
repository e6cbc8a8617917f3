"""`/reload`: another default model, or nothing changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from older_calls import post
from work import newest, upload

from gateway.services import Services

LiveWorker = Callable[..., None]


@pytest.mark.promise("S2-05", "S2-06")
def test_a_reload_changes_the_model_of_later_requests_at_every_gateway(
    make_client: Callable[..., FlaskClient], services: Services, speech: bytes
) -> None:
    first, second = make_client(), make_client()
    answer = first.post("/reload", json={"model_name": "large"})
    upload(second, speech)
    unnamed = newest(services)
    post(second, "/transcribe/async", speech, model="whisper-1")
    aliased = newest(services)
    post(second, "/transcribe/async", speech, model="demo")
    named = newest(services)

    assert answer.get_json() == {
        "success": True, "message": "Model large loaded", "model": "large-v3",
    }  # fmt: skip
    assert unnamed and aliased and named
    models = [job.request.model for job in (unnamed, aliased, named)]
    assert models == ["large-v3", "large-v3", "demo"]
    assert second.get("/models").get_json()["default"] == "large-v3"


def test_a_reload_holds_until_the_operator_changes_the_setting(
    make_client: Callable[..., FlaskClient],
) -> None:
    make_client().post("/reload", json={"model_name": "large"})

    clients = [make_client(default_model=name) for name in ("demo", "tiny")]

    defaults = [client.get("/models").get_json()["default"] for client in clients]
    assert defaults == ["large-v3", "tiny"]


def test_a_reload_with_a_body_nested_too_deep_is_refused(client: FlaskClient) -> None:
    answer = client.post("/reload", data=b"[" * 9999, content_type="application/json")

    assert_error(answer, 400, "invalid_request", "a JSON object")


@pytest.mark.promise("S2-05")
@pytest.mark.parametrize(
    "name",
    ["tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en", "large",
     "large-v1", "large-v2", "large-v3", "turbo"],
)  # fmt: skip
def test_a_reload_knows_every_name_that_whisper_has(client: FlaskClient, name: str) -> None:
    answer = client.post("/reload", json={"model_name": name})

    assert (answer.status_code, answer.get_json()["message"]) == (200, f"Model {name} loaded")


@pytest.mark.parametrize("can_come", [False, True])
def test_a_reload_with_a_model_that_cannot_run_changes_nothing(
    client: FlaskClient, live_worker: LiveWorker, can_come: bool
) -> None:
    if not can_come:
        live_worker("demo")
    wanted = "larg" if can_come else "large"

    answer = client.post("/reload", json={"model_name": wanted})

    assert_error(answer, 404, "model_not_found", wanted, param="model")
    assert client.get("/models").get_json()["default"] == "demo"
