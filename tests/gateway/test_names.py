"""A page whose name was made to lead to this machine reads and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from gateway_process import GatewayProcess
from pydantic import ValidationError
from work import upload

from gateway.access.keys import add_key
from gateway.settings import GatewaySettings

REBOUND = {
    "Host": "evil.example:8499",
    "Origin": "http://evil.example:8499",
    "Sec-Fetch-Site": "same-origin",
}


def test_a_name_that_was_made_to_lead_here_is_refused(client: FlaskClient, speech: bytes) -> None:
    job_id = upload(client, speech).get_json()["job_id"]

    for refused in (
        client.get("/jobs", headers=REBOUND),
        client.get(f"/jobs/{job_id}/audio", headers=REBOUND),
        client.delete(f"/jobs/{job_id}", headers=REBOUND),
        client.get("/metrics", headers=REBOUND),
        upload(client, speech, headers=REBOUND),
    ):
        assert_error(refused, 403, "forbidden", "LONGHAND_SERVER_NAMES")
    assert [job["job_id"] for job in client.get("/jobs").get_json()["jobs"]] == [job_id]


def test_nothing_of_its_body_is_kept(start_gateway: Callable[..., GatewayProcess]) -> None:
    gateway = start_gateway()
    answer = httpx2.post(f"{gateway.url}/transcribe/binary", content=b"x" * 500, headers=REBOUND)

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "refused" in gateway.log.read_text()


def test_a_page_may_not_say_who_it_is_for_a_proxy(make_client: Callable[..., FlaskClient]) -> None:
    """A proxy on this machine is trusted by its address, which is a browser's here too."""
    client = make_client(auth="keys", trusted_proxies="127.0.0.1/32", admins="ann")
    ann = {"X-Remote-User": "ann"}

    assert client.get("/jobs", headers=ann).status_code == 200
    assert client.get("/jobs", headers=REBOUND | ann).status_code == 403


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:9000", "127.0.0.1:80", "[::1]:8499", "192.168.1.9", "a.localhost",
     "host.docker.internal:8499", "voice.example.org", "Voice.Example.Org.:443", ""],
)  # fmt: skip
def test_names_of_this_machine_and_those_listed_are_the_sites(
    make_client: Callable[..., FlaskClient], host: str
) -> None:
    client = make_client(server_names="voice.example.org")

    assert client.get("/jobs", headers={"Host": host}).status_code == 200


def test_a_key_or_a_listener_for_others_makes_names_free(
    make_client: Callable[..., FlaskClient], tmp_path: Path
) -> None:
    """No page has a key; and who lets others in knows that LONGHAND_AUTH=off lets all in."""
    key = {"X-API-Key": add_key(tmp_path / "keys.json", "ann")}
    keyed = make_client(auth="keys", api_keys_file=tmp_path / "keys.json")
    shared = make_client(host="0.0.0.0")

    assert keyed.get("/jobs", headers=REBOUND | key).status_code == 200
    assert shared.get("/jobs", headers=REBOUND).status_code == 200


@pytest.mark.parametrize("value", ["https://voice.example.org", "voice:80", "*.example.org", "a b"])
def test_what_is_no_name_stops_the_gateway_at_its_start(value: str) -> None:
    with pytest.raises(ValidationError, match="is not a name"):
        GatewaySettings(server_names=value)
