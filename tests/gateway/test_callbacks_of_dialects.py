"""Clients of Deepgram and AssemblyAI are called back in the words of their service."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from dialogue import ANN, BOB, dialogue
from flask.testing import FlaskClient
from standardwebhooks import Webhook
from waiting import wait_until
from web_hosts import Host
from work import fail, succeed

from gateway.services import Services
from gateway.settings import GatewaySettings
from gateway.webhooks.sender import Webhooks

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BROKEN = {"code": "engine_failed", "message": "the engine broke"}


@pytest.fixture
def settings(redis_url: str, storage_dir: object) -> GatewaySettings:
    """Those of a site that sends messages, to this machine too."""
    return GatewaySettings(
        redis_url=redis_url,
        storage_dir=storage_dir,
        default_model="demo",
        webhook_secret=SECRET,
        allowed_hosts="127.0.0.1",
    )


@pytest.fixture
def sender(services: Services) -> Iterator[Webhooks]:
    """What sends messages in a gateway."""
    found = Webhooks(services.redis, services.jobs, services.settings)
    found.start()
    yield found
    found.stop()
    found.join(20)


@pytest.mark.usefixtures("sender")
@pytest.mark.parametrize("has_failed", [False, True])
def test_deepgrams_callback_is_the_answer_that_nobody_waited_for(
    client: FlaskClient,
    services: Services,
    speech: bytes,
    receive: Callable[[], Host],
    has_failed: bool,
) -> None:
    host = receive()
    url = f"http://127.0.0.1:{host.port}/told"
    query = {"callback": url, "utterances": "true", "tag": "calls", "topics": "true"}

    named = client.post("/v1/listen", query_string=query, data=speech)
    job_id = named.headers["Location"].removeprefix("/jobs/")
    if has_failed:
        fail(services, job_id, BROKEN)
    else:
        succeed(services, job_id, dialogue())
    [request] = wait_until(lambda: host.requests, 20)

    told = Webhook(SECRET).verify(request.body, request.headers)
    assert list(named.get_json()) == ["request_id"]
    request_id = named.get_json()["request_id"]
    if has_failed:
        assert (told["err_msg"], told["request_id"]) == ("the engine broke", request_id)
        return
    assert told["metadata"]["request_id"] == request_id
    assert told["metadata"]["tags"] == ["calls"]
    assert [w["parameter"] for w in told["metadata"]["warnings"]] == ["topics"]
    assert [u["transcript"] for u in told["results"]["utterances"]] == [ANN.strip(), BOB.strip()]


@pytest.mark.usefixtures("sender")
@pytest.mark.parametrize(("has_failed", "status"), [(False, "completed"), (True, "error")])
def test_assemblyais_webhook_names_the_transcript_and_carries_the_header_asked_for(
    client: FlaskClient,
    services: Services,
    speech: bytes,
    receive: Callable[[], Host],
    has_failed: bool,
    status: str,
) -> None:
    host = receive()
    url = client.post("/v2/upload", data=speech).get_json()["upload_url"]
    order = {
        "audio_url": url,
        "webhook_url": f"http://127.0.0.1:{host.port}/told",
        "webhook_auth_header_name": "X-My-Secret",
        "webhook_auth_header_value": "sesame",
    }

    made = client.post("/v2/transcript", json=order).get_json()
    if has_failed:
        fail(services, made["id"], BROKEN)
    else:
        succeed(services, made["id"], dialogue())
    [request] = wait_until(lambda: host.requests, 20)

    assert Webhook(SECRET).verify(request.body, request.headers) == {
        "transcript_id": made["id"],
        "status": status,
    }
    assert request.headers["x-my-secret"] == "sesame"
    assert made["webhook_auth"] is True
    for told in (made, client.get(f"/v2/transcript/{made['id']}").get_json()):
        assert "sesame" not in json.dumps(told)
    assert "sesame" not in client.get(f"/jobs/{made['id']}").text
