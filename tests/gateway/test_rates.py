"""How many requests a caller may make, also while Redis is away."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import clips
import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from gateway_process import GatewayProcess, call
from pydantic import ValidationError
from redis import Redis
from redis.exceptions import RedisError
from waiting import wait_until

from cli.redis_server import find_redis_server, free_port, write_redis_config
from gateway.access.keys import add_key
from gateway.settings import GatewaySettings

MakeClient = Callable[..., FlaskClient]


def statuses(client: FlaskClient, n: int, headers: dict[str, str] | None = None) -> list[int]:
    return [client.get("/jobs", headers=headers).status_code for _ in range(n)]


@pytest.mark.promise("S0-32")
def test_over_the_sites_rate_a_caller_is_told_when_to_return(make_client: MakeClient) -> None:
    client = make_client(rate_limit="3/hour")

    assert statuses(client, 3) == [200, 200, 200]
    refused = client.get("/models")
    assert_error(refused, 429, "too_many_requests", "this is more than 3/hour; come back in")
    assert 1 <= int(refused.headers["Retry-After"]) <= 3601


def test_without_a_rate_nobody_is_refused(client: FlaskClient) -> None:
    assert set(statuses(client, 50)) == {200}


def test_health_is_never_refused(make_client: MakeClient) -> None:
    client = make_client(rate_limit="1/hour")

    assert statuses(client, 2) == [200, 429]
    paths = ["/health", "/health/live", "/health/ready"] * 3
    assert {client.get(path).status_code for path in paths} == {200}
    assert client.get("/_auth").status_code == 401


def test_every_caller_has_a_rate_of_their_own(make_client: MakeClient, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ann = {"X-API-Key": add_key(path, "ann", rate="2/hour")}
    bob = {"X-API-Key": add_key(path, "bob")}
    proxied = {"X-Remote-User": "dan"}
    client = make_client(
        auth="keys", api_keys_file=path, rate_limit="3/hour", trusted_proxies="127.0.0.1"
    )

    assert statuses(client, 3, ann) == [200, 200, 429]
    assert statuses(client, 4, bob) == [200, 200, 200, 429]
    assert statuses(client, 4, proxied) == [200, 200, 200, 429]
    assert statuses(client, 1) == [401]
    assert "this is more than 2/hour" in client.get("/jobs", headers=ann).get_json()["error"]


def test_callers_nobody_names_are_told_apart_by_address(make_client: MakeClient) -> None:
    client = make_client(rate_limit="1/hour")

    assert statuses(client, 2) == [200, 429]
    client.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    assert statuses(client, 2) == [200, 429]


def test_two_gateways_count_together(make_client: MakeClient) -> None:
    one, other = make_client(rate_limit="2/hour"), make_client(rate_limit="2/hour")

    assert statuses(one, 1) + statuses(other, 1) == [200, 200]
    assert statuses(one, 1) + statuses(other, 1) == [429, 429]


@pytest.mark.parametrize("value", ["often", "5", "0/minute", "/minute"])
def test_what_is_no_rate_stops_the_gateway_at_its_start(value: str) -> None:
    with pytest.raises(ValidationError, match="is no rate"):
        GatewaySettings(rate_limit=value)


class OwnRedis:
    """A Redis that a test may take away and bring back, with its data or without."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = free_port()
        self._config = write_redis_config(directory, port=self._port, password="own")
        self.url = f"redis://:own@127.0.0.1:{self._port}/0"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Come up."""
        with (self._directory / "log").open("ab") as log:
            self._child = subprocess.Popen(
                [str(find_redis_server()), str(self._config)],
                cwd=self._directory,
                env=dict(os.environ),
                stdout=log,
                stderr=log,
            )
        wait_until(self._answers, 30, "Redis")

    def stop(self) -> None:
        """Die."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def _answers(self) -> bool:
        with suppress(RedisError), Redis.from_url(self.url) as redis:
            return bool(redis.ping())
        return False


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    """A Redis of the test's own, up."""
    redis = OwnRedis(tmp_path / "redis")
    redis.start()
    yield redis
    redis.stop()


def test_while_redis_is_away_it_is_busy_and_never_broken_and_it_recovers(
    start_gateway: Callable[..., GatewayProcess], own_redis: OwnRedis, tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    key, short = add_key(path, "ann"), add_key(path, "bob", rate="5/hour")
    gateway = start_gateway(
        redis_url=own_redis.url, auth="keys", api_keys_file=path, rate_limit="100/second"
    )
    seen: list[int] = []

    def status(method: str, where: str, shown: str = "", body: bytes | None = None) -> int:
        headers = {"Authorization": f"Bearer {shown}"} if shown else {}
        seen.append(call(gateway, method, where, body, headers)[0])
        return seen[-1]

    audio = clips.wav(0.2)
    assert [status("GET", "/jobs", shown) for shown in (key, short)] == [200, 200]
    own_redis.stop()

    assert status("GET", "/jobs", key) == 503
    assert status("POST", "/transcribe/binary", key, audio) == 503
    assert status("GET", "/jobs") == status("GET", "/jobs", "lh_nonsense") == 401
    assert status("POST", "/reload", key) == 403
    assert status("GET", "/health/live") == status("GET", "/health") == 200
    # The rate is held in memory meanwhile.
    assert [status("GET", "/jobs", short) for _ in range(6)] == [503] * 5 + [429]

    own_redis.start()

    wait_until(lambda: status("GET", "/jobs", key) == 200, 60, "it recovered")
    assert status("POST", "/transcribe/binary", key, audio) == 202
    assert status("GET", "/jobs") == 401
    assert 500 not in seen
    assert "Traceback" not in gateway.log.read_text()


def test_a_gateway_that_starts_without_redis_lets_in_whom_it_may(
    start_gateway: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    key = add_key(path, "ann")
    gateway = start_gateway(
        redis_url="redis://127.0.0.1:1/0", auth="keys", api_keys_file=path, rate_limit="2/hour"
    )

    answers = [call(gateway, "GET", "/jobs", headers={"X-API-Key": key})[0] for _ in range(3)]

    assert answers == [503, 503, 429]
    assert call(gateway, "GET", "/jobs")[0] == 401


def test_openai_clients_are_told_in_their_own_shape(make_client: MakeClient) -> None:
    client = make_client(rate_limit="1/hour")
    client.get("/v1/models")

    refused = client.get("/v1/models")

    assert refused.status_code == 429
    assert refused.get_json()["error"]["type"] == "rate_limit_error"
    assert int(refused.headers["Retry-After"]) >= 1
