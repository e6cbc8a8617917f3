"""What an attacker meets: networks that end, containers that may nothing, silent logs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from commands import DOCKER, output, run
from deployment import PROJECT, SETTINGS, Deployment
from waiting import wait_until

pytestmark = pytest.mark.deploy

HERE, OUTSIDE = "198.19.0.1", "198.19.0.2"


CONNECT = """\
import socket, sys
from concurrent.futures import ThreadPoolExecutor

def answers(place):
    host, _, port = place.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
        return True
    except OSError:
        return False

with ThreadPoolExecutor(len(sys.argv)) as callers:
    for place, answered in zip(sys.argv[1:], callers.map(answers, sys.argv[1:])):
        if answered:
            print(place)
"""
"""Prints which of the places named take a connection."""


def addresses(site: Deployment, service: str, port: int) -> list[str]:
    """Where a port of a service is, by number, on each of its networks."""
    return [
        f"{network['IPAddress']}:{port}"
        for container in site.inspect(service)
        for network in container["NetworkSettings"]["Networks"].values()
    ]


def test_only_nginx_and_the_gateways_answer_on_the_front_network(
    site: Deployment, images: dict[str, str]
) -> None:
    by_name = [
        "nginx:8080",
        "gateway:8499",
        "live:8500",
        "redis:6379",
        "worker:6379",
        "worker:8499",
    ]
    by_address = addresses(site, "redis", 6379) + addresses(site, "worker", 8499)
    front = f"{PROJECT}_front"

    answered = output(
        DOCKER, "run", "--rm", "--network", front, images["gateway"],
        "python", "-c", CONNECT, *by_name, *by_address,
    )  # fmt: skip

    assert answered.split() == ["nginx:8080", "gateway:8499", "live:8500"]
    assert names_on(front) == {"nginx", "gateway", "live"}


def names_on(network: str) -> set[str]:
    """The services that stand on a network."""
    form = "{{range .Containers}}{{.Name}} {{end}}"
    names = output(DOCKER, "network", "inspect", "--format", form, network).split()
    return {name.rpartition("-")[0].rpartition("-")[2] for name in names}


@pytest.fixture
def from_outside(sandbox: None) -> Iterator[Callable[..., list[str]]]:
    """A function that tells which places answer another machine, on a wire to this one."""
    other = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    own = os.readlink("/proc/self/ns/net")
    theirs = f"/proc/{other.pid}/ns/net"
    try:
        wait_until(lambda: os.readlink(theirs) != own, 10, "the other machine is there")
        there = ("nsenter", f"--net={theirs}")
        run("ip", "link", "add", "wire", "type", "veth", "peer", "name", "end")
        run("ip", "link", "set", "end", "netns", str(other.pid))
        run("ip", "address", "add", f"{HERE}/30", "dev", "wire")
        run("ip", "link", "set", "wire", "up")
        run(*there, "ip", "address", "add", f"{OUTSIDE}/30", "dev", "end")
        run(*there, "ip", "link", "set", "end", "up")
        run(*there, "ip", "route", "add", "default", "via", HERE)
        yield lambda *places: output(*there, sys.executable, "-c", CONNECT, *places).split()
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()
        run("ip", "link", "delete", "wire", check=False)


def test_from_another_machine_only_nginx_answers_and_only_if_it_is_meant_to(
    site: Deployment, from_outside: Callable[..., list[str]]
) -> None:
    def answers() -> list[str]:
        hidden = [f"{HERE}:{port}" for port in (6379, 8080, 8499, 8500)]
        hidden += addresses(site, "gateway", 8499) + addresses(site, "redis", 6379)
        hidden += addresses(site, "live", 8500)
        hidden += addresses(site, "worker", 8499)
        return from_outside(f"{HERE}:{site.port}", *hidden)

    assert answers() == []
    site.up(env={"LONGHAND_BIND": "0.0.0.0"})
    assert answers() == [f"{HERE}:{site.port}"]


KNOCK = """\
import socket, sys
try:
    socket.create_connection((sys.argv[1], 1), timeout=3)
except OSError as error:
    print(type(error).__name__)
"""


def test_redis_has_no_way_out(
    site: Deployment, from_outside: Callable[..., list[str]], images: dict[str, str]
) -> None:
    """A worker, which downloads models, has one: a closed port of another machine tells."""

    def knock(network: str) -> str:
        where = f"{PROJECT}_{network}"
        knocking = ("python", "-c", KNOCK, OUTSIDE)
        return output(DOCKER, "run", "--rm", "--network", where, images["gateway"], *knocking)

    assert knock("downloads") == "ConnectionRefusedError"
    assert knock("back") in ("TimeoutError", "OSError")


def test_no_container_runs_as_root_or_may_change_its_root(site: Deployment) -> None:
    containers = {c["Name"]: c for c in site.inspect()}

    assert len(containers) == 7
    for name, container in containers.items():
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"] is True, name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert not host["Privileged"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert host["Memory"] > 0, name
        assert host["PidsLimit"] > 0, name
        assert host["LogConfig"]["Config"] == {"max-file": "5", "max-size": "10m"}, name
        inside = output(DOCKER, "exec", container["Id"], "cat", "/proc/1/status")
        status: dict[str, Any] = dict(
            line.split(":\t", 1) for line in inside.splitlines() if ":\t" in line
        )
        assert "0" not in status["Uid"].split(), name
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0, name
        assert status["NoNewPrivs"] == "1", name
        touched = run(DOCKER, "exec", container["Id"], "touch", "/etc/x", "/x", check=False)
        assert touched.returncode != 0, name


def test_the_public_side_is_not_given_what_only_workers_need(site: Deployment) -> None:
    told = {
        service: dict(line.split("=", 1) for line in container["Config"]["Env"])["HF_TOKEN"]
        for service in ("gateway", "live", "worker")
        for container in site.inspect(service)
    }

    assert told == {"gateway": "", "live": "", "worker": SETTINGS["HF_TOKEN"]}


def test_the_logs_of_a_site_hold_no_password(site: Deployment) -> None:
    logs = site.compose("logs", "--no-color").stdout

    assert len(logs.splitlines()) > 20
    secrets = (site.redis_password, site.password, SETTINGS["HF_TOKEN"])
    assert [secret for secret in secrets if secret in logs] == []
