"""What the programs say when they cannot start: which setting, and what is wrong with it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from shared.settings import CHECKOUT

PROGRAMS = ["gateway", "gateway.live", "worker"]


@pytest.fixture
def start(tmp_path):
    """A function that starts a program which is expected to end; how it ended."""

    def start(program, *arguments, **variables):
        settings = {
            "LONGHAND_STORAGE_DIR": str(tmp_path / "storage"),
            "LONGHAND_SCRATCH_DIR": str(tmp_path / "scratch"),
            "LONGHAND_REDIS_URL": "redis://127.0.0.1:1/0",
            "LONGHAND_DEFAULT_MODEL": "demo",
        }
        return subprocess.run(
            [sys.executable, "-m", program, *arguments],
            cwd=CHECKOUT,
            env={"PATH": os.environ["PATH"]} | settings | variables,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return start


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_takes_no_options_and_says_where_its_settings_are(start, program):
    asked, mistaken = start(program, "--help"), start(program, "--port", "80")

    assert (asked.returncode, mistaken.returncode) == (0, 2)
    for said in (asked.stdout, mistaken.stderr):
        assert f"python -m {program} takes no options" in said
        assert "docs/settings.md" in said
    assert mistaken.stderr.startswith("'--port' is not understood. ")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_redis_url_of_no_kind_is_refused_by_name(start, program):
    ended = start(program, LONGHAND_REDIS_URL="secret@localhost:6379")

    assert ended.returncode == 2
    assert "LONGHAND_REDIS_URL: it must begin with `redis://`" in ended.stderr
    assert "secret" not in ended.stderr


@pytest.mark.parametrize(
    ("program", "variable"), [("gateway", "PORT"), ("gateway.live", "LIVE_PORT")]
)
def test_an_address_that_is_taken_is_named_with_its_settings(start, program, variable):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = start(program, **{f"LONGHAND_{variable}": str(port)})

    assert ended.returncode == 1
    assert f"LONGHAND_{variable} is 127.0.0.1:{port}: Address already in use" in ended.stderr


@pytest.mark.parametrize(
    ("program", "variable"),
    [
        ("gateway", "LONGHAND_STORAGE_DIR"),
        ("worker", "LONGHAND_STORAGE_DIR"),
        ("worker", "LONGHAND_SCRATCH_DIR"),
    ],
)
def test_a_directory_that_cannot_be_made_is_named_with_its_setting(start, program, variable):
    ended = start(program, **{variable: "/proc/nowhere"})

    assert ended.returncode == 1
    assert f"{variable} is /proc/nowhere: No such file or directory" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_certificates_that_are_not_there_are_named_with_their_setting(start, tmp_path):
    ended = start("gateway", LONGHAND_PORT="0", LONGHAND_CA_FILE=str(tmp_path / "ca.pem"))

    assert ended.returncode == 1
    assert f"LONGHAND_CA_FILE is {tmp_path}/ca.pem: No such file" in ended.stderr
