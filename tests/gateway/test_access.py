"""Who may in, by what, and to what: `LONGHAND_AUTH` decides, never how many keys there are."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import clips
import pytest
from callers import NOBODYS, PROXY, bearer, listed
from flask.testing import FlaskClient
from gateway_errors import assert_error
from gateway_process import GatewayProcess, call
from waiting import wait_until
from work import upload

from gateway.access.callers import takes_token
from gateway.access.keys import revoke_key
from gateway.openapi.documented import documentation_of
from gateway.services import Services

MakeClient = Callable[..., FlaskClient]


MakeKey = Callable[..., str]


def basic(user: str, password: str) -> dict[str, str]:
    """HTTP basic, as programs send what stands in a URL before the host."""
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


FORMS: list[Callable[[str], dict[str, str]]] = [
    bearer,
    lambda key: {"Authorization": f"Token {key}"},
    lambda key: {"Authorization": f"bearer   {key}"},
    lambda key: {"Authorization": key},
    lambda key: {"X-API-Key": key},
    lambda key: {"X-API-Key": key, "Authorization": "Basic YW5uOnB3"},
    lambda key: {"api-key": key},
    lambda key: basic("", key),
    lambda key: basic("whoever", key),
]


@pytest.mark.promise("S0-32", "S2-11", "S4-29", "C-10")
@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_taken_in_every_form_clients_send_it(
    site: FlaskClient, make_key: MakeKey, form: Callable[[str], dict[str, str]]
) -> None:
    assert site.get("/jobs", headers=form(make_key("bob"))).status_code == 200


@pytest.mark.parametrize("form", FORMS)
def test_a_key_that_is_none_is_refused_in_every_form(
    site: FlaskClient, form: Callable[[str], dict[str, str]]
) -> None:
    answer = site.get("/jobs", headers=form("lh_nonsense"))

    assert_error(answer, 401, "unauthorized", "the key is not valid")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.promise("S2-07", "C-10")
@pytest.mark.parametrize("form", FORMS)
def test_with_auth_off_any_key_is_taken_and_means_nothing(
    client: FlaskClient, speech: bytes, form: Callable[[str], dict[str, str]]
) -> None:
    job_id = upload(client, speech, headers=form("dummy")).get_json()["job_id"]

    assert listed(client, form("another")) == listed(client, {}) == [job_id]


def test_keys_that_exist_do_not_switch_them_on(
    make_client: MakeClient, keys_file: Path, make_key: MakeKey
) -> None:
    make_key("bob")

    assert make_client(api_keys_file=keys_file).get("/jobs").status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic YW5uOnB3"}])
def test_without_any_key_nobody_is_let_in(site: FlaskClient, headers: dict[str, str]) -> None:
    answer = site.get("/jobs", headers=headers)

    assert_error(answer, 401, "unauthorized", "this site needs a key")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/", "/web/page.js"])
def test_what_says_nothing_of_jobs_is_open(site: FlaskClient, path: str) -> None:
    with site.get(path) as answer:
        assert answer.status_code == 200


def test_what_is_not_there_is_not_there_for_anybody(site: FlaskClient) -> None:
    assert site.get("/nothing").status_code == 404
    assert site.options("/jobs").status_code == 200


def test_a_user_of_the_proxy_needs_no_key(site: FlaskClient, speech: bytes) -> None:
    site.environ_base["REMOTE_ADDR"] = PROXY
    as_ann = {"X-Remote-User": "ann"}
    job_id = upload(site, speech, headers=as_ann).get_json()["job_id"]

    assert listed(site, as_ann) == [job_id]
    assert listed(site, {"X-Remote-User": "bob"}) == []
    assert site.get("/jobs").status_code == 401


def test_a_forged_user_is_ignored(site: FlaskClient, make_key: MakeKey, speech: bytes) -> None:
    key = bearer(make_key("bob"))
    forged = {"X-Remote-User": "ann"}
    job_id = upload(site, speech, headers=key | forged).get_json()["job_id"]

    assert site.get("/jobs", headers=forged).status_code == 401
    assert listed(site, key) == [job_id]


def test_a_valid_key_wins_over_the_proxys_user(
    site: FlaskClient, make_key: MakeKey, speech: bytes
) -> None:
    """nginx lets in by a key a caller whose user name it never checked."""
    site.environ_base["REMOTE_ADDR"] = PROXY
    key = bearer(make_key("bob"))
    job_id = upload(site, speech, headers=key | {"X-Remote-User": "ann"}).get_json()["job_id"]

    assert listed(site, key) == [job_id]
    assert listed(site, {"X-Remote-User": "ann"}) == []
    assert listed(site, {"X-Remote-User": "bob"}) == [job_id]


@pytest.mark.parametrize("form", FORMS)
def test_a_wrong_key_never_falls_back_to_the_proxys_user(
    site: FlaskClient, form: Callable[[str], dict[str, str]]
) -> None:
    site.environ_base["REMOTE_ADDR"] = PROXY

    answer = site.get("/jobs", headers=form("lh_wrong") | {"X-Remote-User": "ann"})

    assert_error(answer, 401, "unauthorized", "the key is not valid")


def test_two_keys_of_two_names_are_nobodys(site: FlaskClient, make_key: MakeKey) -> None:
    headers = bearer(make_key("bob")) | {"X-API-Key": make_key("ann")}

    assert_error(site.get("/jobs", headers=headers), 401, "unauthorized", "not valid")


@pytest.mark.promise("C-10")
def test_a_key_in_the_query_counts_only_where_a_browser_can_send_nothing_else(
    site: FlaskClient, make_key: MakeKey, services: Services
) -> None:
    key = make_key("bob")

    assert site.get(f"/jobs?token={key}").status_code == 401
    assert site.post(f"/reload?token={key}").status_code == 401
    for rule in site.application.url_map.iter_rules():
        told = documentation_of(site.application.view_functions[rule.endpoint])
        names = {name for model in (told.query if told else ()) for name in model.model_fields}
        assert "token" not in names or takes_token(re.sub("<.*?>", "1", rule.rule)), rule


@pytest.mark.promise("C-10")
def test_a_key_as_password_names_the_owner_and_the_user_beside_it_nobody(
    site: FlaskClient, make_key: MakeKey, speech: bytes
) -> None:
    anns, bobs = make_key("ann"), make_key("bob")
    job_id = upload(site, speech, headers=basic("ann", bobs)).get_json()["job_id"]

    assert listed(site, bearer(bobs)) == [job_id]
    assert listed(site, bearer(anns)) == []


@pytest.mark.parametrize(
    "sent", ["Basic", "Basic !", "Basic YW5u", "Basic YW5uOmxvbmc=", "Basic /w=="]
)
def test_another_password_is_for_a_proxy_and_lets_nobody_in(site: FlaskClient, sent: str) -> None:
    answer = site.get("/jobs", headers={"Authorization": sent})

    assert_error(answer, 401, "unauthorized", "this site needs a key")


@pytest.mark.promise("C-10")
def test_nginx_is_told_who_may_in_by_key(site: FlaskClient, make_key: MakeKey) -> None:
    key = make_key("bob")
    site.environ_base["REMOTE_ADDR"] = PROXY
    audio = {"X-Original-URI": f"/jobs/{NOBODYS}/audio?token={key}"}

    def status(headers: dict[str, str]) -> int:
        answer = site.get("/_auth", headers=headers)
        assert answer.data == b""
        assert "WWW-Authenticate" not in answer.headers
        return answer.status_code

    assert [status(form(key)) for form in FORMS] == [204] * len(FORMS)
    assert [status(form("lh_no")) for form in FORMS] == [401] * len(FORMS)
    assert status({}) == status({"X-Remote-User": "ann"}) == 401
    assert status(audio) == 204
    assert status(audio | {"X-Original-Method": "POST"}) == 401
    assert status({"X-Original-URI": f"/jobs?token={key}"}) == 401
    # A program that reads the other of two keys must not take this for a request without a key.
    assert status({"X-Original-URI": f"/events?token={key}&token="}) == 401
    assert status({"X-Original-URI": f"//[x/events?token={key}"}) == 401


def test_nginx_is_told_of_keys_that_live_callers_send_as_they_can(
    site: FlaskClient, make_key: MakeKey
) -> None:
    key = make_key("bob")
    opened = {"X-Original-Upgrade": "websocket"}

    def status(uri: str, headers: dict[str, str]) -> int:
        return site.get("/_auth", headers={"X-Original-URI": uri} | headers).status_code

    def offered(protocols: str) -> dict[str, str]:
        return opened | {"Sec-WebSocket-Protocol": protocols}

    paths = ("/", "/asr", "/v1/listen", "/v1/realtime", "/v1/audio/transcriptions")
    assert [status(f"{path}?token={key}", opened) for path in paths] == [204] * len(paths)
    # The gateway answers these, and reads no key from their query.
    assert [status(f"{path}?token={key}", {}) for path in paths] == [401] * len(paths)
    assert status(f"/jobs?token={key}", opened) == 401
    forms = ("bearer, {}", "token, {}", "realtime, openai-insecure-api-key.{}")
    assert [status("/asr", offered(form.format(key))) for form in forms] == [204] * len(forms)
    assert [status("/asr", offered(form.format("lh_no"))) for form in forms] == [401] * len(forms)
    assert status("/asr", {"Sec-WebSocket-Protocol": f"bearer, {key}"}) == 401


def test_nginx_is_told_that_it_was_a_key(site: FlaskClient, make_key: MakeKey) -> None:
    good = site.get("/_auth", headers={"X-API-Key": make_key("bob")})
    bad = site.get("/_auth", headers={"X-API-Key": "lh_no"})

    assert good.headers["X-Longhand-Key"] == "valid"
    assert "X-Longhand-Key" not in bad.headers


@pytest.mark.parametrize("form", FORMS)
def test_with_auth_off_no_key_lets_anybody_past_nginx(
    make_client: MakeClient,
    keys_file: Path,
    make_key: MakeKey,
    form: Callable[[str], dict[str, str]],
) -> None:
    client = make_client(api_keys_file=keys_file)

    assert client.get("/_auth", headers=form(make_key("bob"))).status_code == 401


def test_a_revoked_key_is_refused_without_a_restart_and_nothing_secret_is_logged(
    start_gateway: Callable[..., GatewayProcess], keys_file: Path, make_key: MakeKey
) -> None:
    key, other = make_key("bob"), make_key("ann")
    gateway = start_gateway(auth="keys", api_keys_file=keys_file, log_level="debug")
    audio = clips.wav(0.2)
    job_id = call(gateway, "POST", "/transcribe/binary", audio, bearer(key))[1]["job_id"]

    for method, path, headers in [
        ("GET", f"/jobs/{job_id}", bearer(key)),
        ("GET", f"/jobs/{job_id}?api_key={key}&token={key}", bearer(key)),
        ("GET", f"/nothing?token={key}", {"X-API-Key": key}),
        ("DELETE", f"/jobs/{job_id}?token={key}", bearer(other)),
        ("GET", "/jobs", {"X-API-Key": f"{key}-wrong"}),
    ]:
        call(gateway, method, path, headers=headers)
    revoke_key(keys_file, "bob")

    def status(shown: str) -> int:
        return call(gateway, "GET", "/jobs", headers=bearer(shown))[0]

    wait_until(lambda: status(key) == 401, 20, "the revoked key refused")
    assert status(other) == 200
    log = gateway.log.read_text()
    assert "2 keys are valid" in log
    for secret in (key, other, key.removeprefix("lh_"), "token="):
        assert secret not in log


def test_a_gateway_that_cannot_read_its_keys_says_so_at_the_start(
    start_gateway: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    (tmp_path / "keys.json").write_text("mine")
    gateway = start_gateway(auth="keys", api_keys_file=tmp_path / "keys.json")

    assert "LONGHAND_API_KEYS_FILE cannot be read, so no key is valid" in gateway.log.read_text()


@pytest.mark.parametrize(
    ("settings", "is_warned"),
    [
        ({"host": "0.0.0.0"}, True),  # noqa: S104
        ({"host": "127.0.0.1"}, False),
        ({"host": "0.0.0.0", "auth": "keys"}, False),  # noqa: S104
    ],
)
def test_a_site_open_to_the_network_says_so_once(
    start_gateway: Callable[..., GatewayProcess],
    tmp_path: Path,
    settings: dict[str, str],
    is_warned: bool,
) -> None:
    gateway = start_gateway(api_keys_file=tmp_path / "keys.json", **settings)

    assert gateway.log.read_text().count("LONGHAND_AUTH is off") == int(is_warned)
