"""Pages of other sites: which may call, which may not, and that programs are not asked."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from pydantic import ValidationError
from work import upload

from gateway.access.keys import add_key
from gateway.settings import GatewaySettings

PORTAL = "https://portal.example.org"


@pytest.fixture
def site(make_client: Callable[..., FlaskClient]) -> FlaskClient:
    """A site that one portal, and pages opened as files, may call."""
    return make_client(cors_origins=f"{PORTAL}, null")


def preflight(client: FlaskClient, origin: str, path: str = "/transcribe/file", **more: str):  # type: ignore[no-untyped-def]
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"} | more
    return client.options(path, headers=headers)


def words(header: str) -> set[str]:
    return {word.strip().lower() for word in header.split(",")}


def test_a_listed_page_is_told_beforehand_what_it_may_send(site: FlaskClient) -> None:
    answer = preflight(
        site, PORTAL, **{"Access-Control-Request-Headers": "x-stainless-os, x-remote-user, b@d"}
    )
    allowed = words(answer.headers["Access-Control-Allow-Headers"])

    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == PORTAL
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Origin" in answer.headers["Vary"]
    assert {"post", "delete", "patch"} <= words(answer.headers["Access-Control-Allow-Methods"])
    assert allowed >= {
        "authorization", "x-api-key", "content-type", "prefer", "idempotency-key",
        "last-event-id", "range", "tus-resumable", "upload-offset", "x-stainless-os",
    }  # fmt: skip
    assert not allowed & {"x-remote-user", "b@d"}


def test_a_listed_page_reads_answers_and_errors(site: FlaskClient, speech: bytes) -> None:
    accepted = upload(site, speech, headers={"Origin": PORTAL, "Sec-Fetch-Site": "cross-site"})
    refused = site.get("/jobs/1", headers={"Origin": PORTAL})

    assert (accepted.status_code, refused.status_code) == (202, 404)
    for answer in (accepted, refused):
        assert answer.headers["Access-Control-Allow-Origin"] == PORTAL
        exposed = words(answer.headers["Access-Control-Expose-Headers"])
        assert exposed >= {
            "location", "retry-after", "x-request-id", "x-longhand-ignored",
            "content-disposition", "preference-applied", "upload-offset", "x-longhand-model",
            "x-should-retry", "asr-engine",
        }  # fmt: skip
        assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize(
    "origin",
    [
        "app://obsidian.md",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "moz-extension://0a1b2c3d-1111-2222-3333-444455556666",
        "capacitor://localhost",
        "tauri://localhost",
        "http://[::1]:3000",
    ],
)
def test_a_program_with_a_page_inside_may_be_listed(
    make_client: Callable[..., FlaskClient], speech: bytes, origin: str
) -> None:
    site = make_client(cors_origins=f"{PORTAL},{origin}")
    from_it = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
    accepted = upload(site, speech, headers=from_it)
    unlisted = upload(site, speech, headers={"Origin": origin.replace("://", "://x")})

    assert preflight(site, origin).status_code == 204
    assert (accepted.status_code, unlisted.status_code) == (202, 403)
    assert accepted.headers["Access-Control-Allow-Origin"] == origin


def test_every_origin_may_be_listed_where_keys_are_needed(
    make_client: Callable[..., FlaskClient], tmp_path: Path, speech: bytes
) -> None:
    path = tmp_path / "keys.json"
    site = make_client(
        auth="keys", api_keys_file=path, cors_origins=f"*,{PORTAL}", trusted_proxies="127.0.0.1"
    )
    key = add_key(path, "bob")
    basic = b64encode(f"me:{key}".encode()).decode()
    elsewhere = {"Origin": "https://any.example", "Sec-Fetch-Site": "cross-site"}
    by_key = upload(site, speech, headers=elsewhere | {"X-API-Key": key})
    without = upload(site, speech, headers=elsewhere)
    lent = [
        upload(site, speech, headers=elsewhere | {"X-Remote-User": "ann"}),
        upload(site, speech, headers=elsewhere | {"Authorization": f"Basic {basic}"}),
        upload(site, speech, headers={"Origin": "null", "X-Remote-User": "ann"}),
    ]
    named = upload(site, speech, headers={"Origin": PORTAL, "X-Remote-User": "ann"})
    own = upload(site, speech, headers={"Origin": "http://localhost", "X-Remote-User": "ann"})

    assert preflight(site, "https://any.example").headers["Access-Control-Allow-Origin"] == "*"
    assert (by_key.status_code, without.status_code) == (202, 401)
    assert [answer.status_code for answer in lent] == [403, 403, 403]
    assert [answer.status_code for answer in (named, own)] == [202, 202]
    for answer in (by_key, without, *lent):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers
    assert named.headers["Access-Control-Allow-Credentials"] == "true"


def test_every_origin_is_not_listed_without_keys() -> None:
    with pytest.raises(ValidationError, match="needs LONGHAND_AUTH=keys"):
        GatewaySettings(cors_origins="*")


def test_a_page_without_an_origin_is_lent_no_password(site: FlaskClient, speech: bytes) -> None:
    answer = upload(site, speech, headers={"Origin": "null"})

    assert answer.headers["Access-Control-Allow-Origin"] == "null"
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_page_without_an_origin_changes_nothing_in_the_name_of_a_user(
    make_client: Callable[..., FlaskClient], speech: bytes
) -> None:
    behind_proxy = make_client(cors_origins="null", trusted_proxies="127.0.0.1/32")
    nobody = upload(behind_proxy, speech, headers={"Origin": "null"})
    ann = upload(behind_proxy, speech, headers={"Origin": "null", "X-Remote-User": "ann"})
    elsewhere = upload(behind_proxy, speech, headers={"X-Remote-User": "ann"})

    assert (nobody.status_code, ann.status_code, elsewhere.status_code) == (202, 403, 202)
    assert "send a key" in ann.get_json()["error"]


def test_a_page_asks_beforehand_without_a_key(
    make_client: Callable[..., FlaskClient], tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    site = make_client(auth="keys", api_keys_file=path, cors_origins=PORTAL)
    key = add_key(path, "bob")
    refused = site.get("/jobs", headers={"Origin": PORTAL})

    assert preflight(site, PORTAL, "/jobs").status_code == 204
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, PORTAL)
    assert site.get("/jobs", headers={"Origin": PORTAL, "X-API-Key": key}).status_code == 200


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "https://portal.example.org.evil.example"},
    {"Origin": "http://portal.example.org"},
    {"Origin": "http://localhost:5000", "Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "cross-site"},
]


@pytest.mark.parametrize("headers", [*FOREIGN, {"Origin": "null"}])
def test_a_page_elsewhere_may_change_nothing(
    make_client: Callable[..., FlaskClient], speech: bytes, headers: dict[str, str]
) -> None:
    site = make_client(cors_origins=PORTAL)
    job_id = upload(site, speech).get_json()["job_id"]

    for refused in (
        upload(site, speech, headers=headers),
        site.delete(f"/jobs/{job_id}", headers=headers),
        site.post("/reload", headers=headers),
    ):
        assert_error(refused, 403, "forbidden", "LONGHAND_CORS_ORIGINS")
        assert "Access-Control-Allow-Origin" not in refused.headers
    assert [job["job_id"] for job in site.get("/jobs").get_json()["jobs"]] == [job_id]


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_page_elsewhere_cannot_read_what_it_asks_for(
    site: FlaskClient, headers: dict[str, str]
) -> None:
    answer = site.get("/jobs", headers=headers)
    beforehand = preflight(site, headers.get("Origin", "https://evil.example"))

    for answered in (answer, beforehand):
        assert answered.status_code == 200
        assert "Access-Control" not in str(answered.headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://localhost"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "https://voice.example.org", "Host": "voice.example.org"},
        {"Origin": "https://voice.example.org", "Host": "Voice.Example.org:443"},
        {"Origin": "http://127.0.0.1:8499", "Host": "127.0.0.1:8499"},
        # Behind a proxy that calls the gateway by another name: the browser knows better.
        {"Origin": "https://voice.example.org", "Host": "gw:1", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_programs_and_the_sites_own_pages_are_not_asked(
    make_client: Callable[..., FlaskClient], speech: bytes, headers: dict[str, str]
) -> None:
    answer = upload(make_client(host="0.0.0.0"), speech, headers=headers)

    assert answer.status_code == 202
    assert "Access-Control" not in str(answer.headers)


@pytest.mark.parametrize(
    "value",
    [
        "portal",
        "https://x.org/",
        "https://x.org/a",
        "https://*.x.org",
        "ftp://x",
        "wss://x.org",
        "app://",
        "app://x/",
        "chrome-extension://",
        "moz-extension://a b",
        "https://u@x.org",
        "file://x",
        "https://x:port",
    ],
)
def test_what_is_no_origin_stops_the_gateway_at_its_start(value: str) -> None:
    with pytest.raises(ValidationError, match="is not an origin"):
        GatewaySettings(cors_origins=value)
