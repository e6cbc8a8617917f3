"""What can be read off the files: every combination of them, and what none may say."""

from __future__ import annotations

import itertools
import json
import os
import re
from pathlib import Path

import pytest
from commands import DOCKER, run
from deployment import INTERNAL, SETTINGS, Deployment, copy_checkout

pytestmark = pytest.mark.deploy

OVERLAYS = ("compose.gpu.yaml", "compose.internal.yaml", "compose.ports.yaml", "compose.tls.yaml")
COMBINATIONS = [
    combination
    for n_overlays in range(len(OVERLAYS) + 1)
    for combination in itertools.combinations(OVERLAYS, n_overlays)
]


@pytest.fixture
def unprepared(source: Path, tmp_path: Path, compose_cli: None) -> Path:
    """A fresh copy of the checkout, without `.env`."""
    copy_checkout(source, tmp_path)
    return tmp_path


@pytest.mark.parametrize("overlays", COMBINATIONS, ids=lambda names: "+".join(names) or "alone")
def test_every_combination_of_the_files_is_understood(
    deployment: Deployment, overlays: tuple[str, ...]
) -> None:
    services = deployment.config(*overlays)["services"]

    assert set(services) == {"redis", "gateway", "live", "worker", "nginx"}
    has_gpus = "devices" in str(services["worker"]["deploy"])
    assert has_gpus == ("compose.gpu.yaml" in overlays)


@pytest.mark.parametrize("overlays", COMBINATIONS, ids=lambda names: "+".join(names) or "alone")
def test_nobody_but_nginx_publishes_a_port_unasked(
    deployment: Deployment, overlays: tuple[str, ...]
) -> None:
    services = deployment.config(*overlays)["services"]

    publish = {name for name, service in services.items() if "ports" in service}
    asked = {"compose.internal.yaml": "redis", "compose.ports.yaml": "live"}
    assert publish - {"nginx"} == {asked[name] for name in overlays if name in asked}
    for port in services["redis"].get("ports", []):
        assert port["host_ip"] == INTERNAL


def test_published_ports_are_bound_to_this_machine_until_the_operator_says_otherwise(
    deployment: Deployment,
) -> None:
    services = deployment.config("compose.ports.yaml")["services"]
    published, [wyoming] = services["nginx"]["ports"], services["live"]["ports"]

    assert (wyoming["published"], wyoming["host_ip"]) == ("10300", "127.0.0.1")
    assert services["live"]["environment"]["LONGHAND_WYOMING_PORT"] == "10300"
    older = {"5000", "5050", "8000", "8001", "8002", "8080", "8496", "8799"}
    assert {port["published"] for port in published} == older | {str(deployment.port)}
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}


def test_services_stand_where_they_need_to_and_nowhere_else(deployment: Deployment) -> None:
    config = deployment.config()
    stand = {name: set(service["networks"]) for name, service in config["services"].items()}

    assert stand == {
        "nginx": {"front"},
        "gateway": {"front", "back"},
        "live": {"front", "back"},
        "redis": {"back"},
        "worker": {"back", "downloads"},
    }
    assert [name for name, network in config["networks"].items() if network.get("internal")] == [
        "back"
    ]


def test_gateway_and_gateway_live_are_one_image_and_agree_on_who_may_in(
    deployment: Deployment,
) -> None:
    services = deployment.config()["services"]
    gateway, live = services["gateway"], services["live"]

    assert live["image"] == gateway["image"]
    own = {"LONGHAND_LIVE_HOST", "LONGHAND_LIVE_PORT"}
    shared = {n: v for n, v in live["environment"].items() if n not in own}
    assert shared == gateway["environment"]
    keys = [v for v in live["volumes"] if v["target"] == "/etc/longhand/keys"]
    assert [v["read_only"] for v in keys] == [True]


def test_the_older_ports_have_the_habits_of_the_older_systems(deployment: Deployment) -> None:
    told = deployment.config("compose.ports.yaml")["services"]["gateway"]["environment"]

    assert told["LONGHAND_DEFAULT_CHINESE"] == "s2tw"
    assert told["LONGHAND_DEFAULT_WAIT_S"] == "14400"


def test_a_worker_is_shown_every_gpu(deployment: Deployment) -> None:
    worker = deployment.config("compose.gpu.yaml")["services"]["worker"]

    [device] = worker["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": -1, "capabilities": ["gpu"]}
    plain = deployment.config()["services"]["worker"]
    plain["deploy"]["resources"] = worker["deploy"]["resources"]
    assert plain == worker  # and nothing else is different


def test_compose_without_an_env_file_says_what_to_do(unprepared: Path) -> None:
    outside = {n: v for n, v in os.environ.items() if n not in SETTINGS and n != "REDIS_PASSWORD"}

    refused = run(DOCKER, "compose", "up", cwd=unprepared, env=outside, check=False)

    assert refused.returncode != 0
    assert "run `make up`, which writes .env with a random one" in refused.stderr


def test_setup_makes_up_passwords_once_and_keeps_them_to_the_owner(unprepared: Path) -> None:
    setup = str(unprepared / "deploy" / "setup")
    first = run(setup, cwd=unprepared).stdout
    written = (".env", "deploy/secrets/htpasswd", "deploy/secrets/keys/keys.json")
    kept = {name: (unprepared / name).read_text() for name in written}

    assert run(setup, cwd=unprepared).stdout == ""
    assert {name: (unprepared / name).read_text() for name in kept} == kept
    assert re.search(r"^REDIS_PASSWORD=[0-9a-f]{48}$", kept[".env"], re.MULTILINE)
    assert re.fullmatch(r"longhand:\$6\$\S+\n", kept["deploy/secrets/htpasswd"])
    assert json.loads(kept["deploy/secrets/keys/keys.json"]) == {"keys": []}
    assert "is let in with the password" in first
    assert (unprepared / ".env").stat().st_mode & 0o077 == 0
    assert (unprepared / "deploy" / "secrets").stat().st_mode & 0o077 == 0


def test_a_user_may_be_added_and_given_another_password(unprepared: Path) -> None:
    users = unprepared / "deploy" / "secrets" / "htpasswd"
    tool = str(unprepared / "deploy" / "user")

    for name, password in (("ann", "one"), ("a.n", "two"), ("ann", "three")):
        run(tool, name, cwd=unprepared, given=f"{password}\n")

    lines = dict(line.split(":") for line in users.read_text().splitlines())
    assert sorted(lines) == ["a.n", "ann"]
    assert hashed("three", like=lines["ann"]) == lines["ann"]
    assert hashed("two", like=lines["a.n"]) == lines["a.n"]


def hashed(password: str, *, like: str) -> str:
    """A password as the system's `crypt` stores it, with the salt of another."""
    salt = like.split("$")[2]
    return run(
        "openssl", "passwd", "-6", "-salt", salt, "-stdin", given=f"{password}\n"
    ).stdout.strip()


@pytest.mark.parametrize("name", ["", "an n", "ann:x", "../x"])
def test_a_name_that_would_spoil_the_file_is_refused(unprepared: Path, name: str) -> None:
    refused = run(
        str(unprepared / "deploy" / "user"), name, cwd=unprepared, given="x\n", check=False
    )

    assert refused.returncode == 2
    assert not (unprepared / "deploy" / "secrets" / "htpasswd").exists()


@pytest.mark.parametrize("name", ["gateway", "worker"])
def test_a_dockerfile_needs_nothing_that_an_older_builder_lacks(source: Path, name: str) -> None:
    text = (source / "deploy" / "docker" / f"{name}.Dockerfile").read_text()

    assert "syntax=" not in text
    assert "<<" not in text
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["${PYTHON_IMAGE}"] * 2
