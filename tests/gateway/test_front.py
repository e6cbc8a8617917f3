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
