"""Whose a job is: what a proxy says counts only where that proxy is trusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from pydantic import ValidationError
from work import upload

from gateway.settings import GatewaySettings

PROXY = "198.18.84.7"


@pytest.fixture
def behind_proxy(make_client: Callable[..., FlaskClient]) -> FlaskClient:
    """A gateway that trusts one network, as its proxy there reaches it."""
    client = make_client(trusted_proxies="10.9.0.0/16, 198.18.84.0/24")
    client.environ_base["REMOTE_ADDR"] = PROXY
    return client


def named(user: str) -> dict[str, str]:
    return {"X-Remote-User": user.encode().decode("latin-1")}  # as WSGI hands it over


def listed(client: FlaskClient, user: str | None = None) -> list[Any]:
    answer = client.get("/jobs", headers=named(user) if user is not None else {}).get_json()
    return [job["job_id"] for job in answer["jobs"]]


def test_users_see_the_jobs_that_are_theirs(behind_proxy: FlaskClient, speech: bytes) -> None:
    ids = {
        user: upload(behind_proxy, speech, headers=named(user)).get_json()["job_id"]
        for user in ("ann", "bob", "李")
    }

    assert {user: listed(behind_proxy, user) for user in ids} == {
        user: [job_id] for user, job_id in ids.items()
    }
    assert listed(behind_proxy) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/jobs/{}"), ("GET", "/jobs/{}/result"), ("DELETE", "/jobs/{}")],
)
def test_a_job_of_another_might_as_well_not_exist(
    behind_proxy: FlaskClient, speech: bytes, method: str, path: str
) -> None:
    job_id = upload(behind_proxy, speech, headers=named("ann")).get_json()["job_id"]
    place = path.format(job_id)
    others = behind_proxy.open(place, method=method, headers=named("bob"))
    nobodys = behind_proxy.open(path.format("0" * 32), method=method, headers=named("bob"))

    assert_error(others, 404, "job_not_found", "there is no job")
    said = others.get_data(as_text=True).replace(job_id, "0" * 32)
    assert said == nobodys.get_data(as_text=True)
    assert listed(behind_proxy, "ann") == [job_id]


@pytest.mark.parametrize("address", ["127.0.0.1", "198.18.85.1", "::1"])
def test_a_caller_who_is_no_trusted_proxy_may_claim_nothing(
    behind_proxy: FlaskClient, speech: bytes, address: str
) -> None:
    job_id = upload(behind_proxy, speech, headers=named("ann")).get_json()["job_id"]
    behind_proxy.environ_base["REMOTE_ADDR"] = address

    assert listed(behind_proxy, "ann") == []
    assert_error(
        behind_proxy.get(f"/jobs/{job_id}", headers=named("ann")),
        404,
        "job_not_found",
        "there is no job",
    )


def test_nobody_is_trusted_unless_the_operator_says_so(client: FlaskClient, speech: bytes) -> None:
    job_id = upload(client, speech, headers=named("ann")).get_json()["job_id"]

    assert listed(client, "bob") == [job_id]


@pytest.mark.parametrize("user", ["a" * 201, "a\tb"])
def test_what_is_no_name_is_refused(behind_proxy: FlaskClient, user: str) -> None:
    assert_error(
        behind_proxy.get("/jobs", headers=named(user)), 400, "invalid_request", "X-Remote-User"
    )


@pytest.mark.parametrize("value", ["nginx", "10.1.2.3/8", "10.0.0.0/33", "::/129"])
def test_a_network_that_is_none_stops_the_gateway_at_its_start(value: str) -> None:
    with pytest.raises(ValidationError) as raised:
        GatewaySettings(trusted_proxies=value)

    assert raised.value.errors()[0]["loc"] == ("trusted_proxies",)
