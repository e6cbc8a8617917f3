"""What the nginx that ships lets through and how long, before a gateway of this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from front import running_nginx
from gateway_process import GatewayProcess
from waiting import wait_until
from work import succeed

from gateway.services import Services
from gateway.settings import GatewaySettings
from shared.settings import CHECKOUT

AUTH = ("ann", "secret")
THOUSANDTH = {"))s;": "))ms;"}
"""nginx counts milliseconds for seconds: a request that waits 3 s has outlasted 3000 s."""


@pytest.fixture
def start_front(
    start_gateway: Callable[..., GatewayProcess], tmp_path: Path
) -> Iterator[Callable[..., str]]:
    """A function that starts a gateway and nginx before it; its arguments are settings."""
    with ExitStack() as opened:

        def start(
            changes: dict[str, str] | None = None,
            told: dict[str, str] | None = None,
            **chosen: object,
        ) -> str:
            gateway = start_gateway(trusted_proxies="127.0.0.1", **chosen)
            folder = tmp_path / "front"
            folder.mkdir()
            address = "{}:{}".format(*gateway.address)
            nginx = running_nginx(folder, address, password=AUTH[1], changes=changes, settings=told)
            return opened.enter_context(nginx)

        yield start


@pytest.mark.parametrize(
    ("told", "seconds", "status"),
    [
        ({}, 3.0, 200),  # the default, of 14 400 s
        ({"LONGHAND_MAX_WAIT_S": "3600.0"}, 1.0, 200),
        ({"LONGHAND_MAX_WAIT_S": "600"}, 3.0, 504),  # as it was: cut at 630 s
    ],
)
def test_nginx_waits_as_long_as_the_setting_says(
    start_front: Callable[..., str],
    services: Services,
    speech: bytes,
    told: dict[str, str],
    seconds: float,
    status: int,
) -> None:
    url = start_front(THOUSANDTH, told)
    answers: list[httpx2.Response] = []

    def ask() -> None:
        files = {"audio_file": ("a.wav", speech)}
        answers.append(httpx2.post(f"{url}/asr", files=files, auth=AUTH, timeout=120))

    asking = threading.Thread(target=ask)
    asking.start()
    record = wait_until(lambda: next(iter(services.jobs.newest(owner="ann")), None), 60, "a job")
    asking.join(seconds)  # what passes is what is tested
    assert (not answers) is (status == 200)
    if not answers:
        succeed(services, record.id)
    asking.join(60)

    assert answers[0].status_code == status
    if status == 200:
        assert answers[0].text.strip() == "Good morning."


def test_a_wrong_wait_is_named_when_nginx_starts(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="LONGHAND_MAX_WAIT_S is 'long'; nginx needs a number"),
        running_nginx(tmp_path, "127.0.0.1:1", settings={"LONGHAND_MAX_WAIT_S": "long"}),
    ):
        pass


@pytest.fixture
def keyed_front(
    start_front: Callable[..., str], keys_file: Path, make_key: Callable[..., str]
) -> tuple[str, str]:
    """A site behind nginx that lets in holders of keys, and listed pages; and `bob`'s key."""
    key = make_key("bob")
    url = start_front(auth="keys", api_keys_file=keys_file, cors_origins="app://obsidian.md,*")
    return url, key


def test_a_key_as_password_lets_in_through_nginx_and_names_the_owner(
    keyed_front: tuple[str, str], services: Services, speech: bytes
) -> None:
    url, key = keyed_front
    answers = [
        httpx2.post(f"{url}/transcribe/binary", content=speech, auth=auth, timeout=60)
        for auth in [("", key), ("whoever", key), ("ann", key), AUTH]
    ]
    refused = [
        httpx2.get(f"{url}/jobs", auth=auth, headers=headers, timeout=60)
        for auth, headers in [
            (None, {}),
            (("ann", "wrong"), {}),
            (("ann", "lh_wrong"), {}),
            (("ann", key), {"X-API-Key": "lh_wrong"}),
            (AUTH, {"X-API-Key": "lh_wrong"}),
        ]
    ]

    assert [answer.status_code for answer in answers] == [202] * 4
    owners = [services.jobs.get(answer.json()["job_id"]).owner for answer in answers]
    assert owners == ["bob", "bob", "bob", "ann"]
    assert [answer.status_code for answer in refused] == [401] * 5
    for answer in refused[:4]:  # a browser asks for the password again
        assert answer.headers.get_list("WWW-Authenticate") == ['Basic realm="Longhand"']


@pytest.mark.parametrize("header", ["api-key", "X-API-Key", "Authorization"])
def test_a_key_in_a_header_lets_in_through_nginx(keyed_front: tuple[str, str], header: str) -> None:
    url, key = keyed_front

    assert httpx2.get(f"{url}/jobs", headers={header: key}, timeout=60).status_code == 200


def test_pages_of_programs_call_through_nginx(keyed_front: tuple[str, str], speech: bytes) -> None:
    url, key = keyed_front
    told = []
    for origin in ("app://obsidian.md", "moz-extension://0a1b2c3d"):
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        before = httpx2.options(f"{url}/v1/audio/transcriptions", headers=asked, timeout=60)
        sent = {"Origin": origin, "Authorization": f"Bearer {key}"}
        answer = httpx2.post(f"{url}/transcribe/binary", content=speech, headers=sent, timeout=60)
        refused = httpx2.get(f"{url}/jobs", headers={"Origin": origin}, timeout=60)
        assert (before.status_code, answer.status_code, refused.status_code) == (204, 202, 401)
        told += [
            (
                a.headers["Access-Control-Allow-Origin"],
                "Access-Control-Allow-Credentials" in a.headers,
            )
            for a in (before, answer, refused)
        ]

    assert told == [("app://obsidian.md", True)] * 3 + [("*", False)] * 3


def test_the_default_of_nginx_is_the_gateways() -> None:
    default = GatewaySettings.model_fields["max_wait_s"].default
    compose = (CHECKOUT / "compose.yaml").read_text()
    start = (CHECKOUT / "deploy" / "nginx" / "start").read_text()

    assert f"LONGHAND_MAX_WAIT_S: ${{LONGHAND_MAX_WAIT_S:-{default:.0f}}}" in compose
    assert f'"${{LONGHAND_MAX_WAIT_S:-{default:.0f}}}"' in start
