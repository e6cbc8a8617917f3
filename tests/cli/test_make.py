"""The Makefile and the scripts behind it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from shared.settings import CHECKOUT


def run(*command: str, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=CHECKOUT,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def bare_machine(tmp_path: Path) -> Path:
    """A PATH with next to nothing on it."""
    for program in ("bash", "id", "env"):
        (tmp_path / program).symlink_to(shutil.which(program) or "")
    return tmp_path


def test_make_alone_explains_every_target():
    targets = re.findall(r"^\.PHONY: (\S+)$", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)

    listed = run("make").stdout

    assert re.findall(r"^  make (\S+) +\S", listed, re.MULTILINE) == targets


def test_a_timed_command_keeps_its_status_and_is_held_to_its_budget():
    answer = run("tools/timed", "nothing", "1", "sh", "-c", "exit 7")

    assert answer.returncode == 7
    assert answer.stdout == "nothing took 0 s, within its budget of 60 s\n"


def test_a_command_over_its_budget_is_said_to_be():
    answer = run("tools/timed", "waiting", "0", "sleep", "1.1")

    assert re.fullmatch(r"waiting took \d+ s, OVER its budget of 0 s\n", answer.stdout)


PACKAGES = {"espeak-ng", "flite", "iproute2", "python3-venv", "redis-server", "strace"}


def test_packages_that_cannot_be_installed_are_named(bare_machine):
    answer = run("tools/system_packages", path=str(bare_machine))

    assert (answer.returncode, answer.stdout) == (1, "")
    sentence, _, packages = answer.stderr.partition(": ")
    assert sentence == "the tests need, and this machine lacks (names as in Debian)"
    assert set(packages.split()) - {"nginx"} == PACKAGES  # which is looked for beside PATH too


def test_a_docker_of_ones_own_needs_packages_that_other_tests_do_not(bare_machine):
    answer = run("tools/system_packages", "deploy", path=str(bare_machine))

    wanted = set(answer.stderr.partition(": ")[2].split())
    assert {"docker.io", "mmdebstrap", "slirp4netns", "tini"} <= wanted
    assert "redis-server" not in wanted


def test_missing_packages_are_installed_and_nothing_else_is(bare_machine):
    present = ("redis-server", "strace", "flite")
    apt_get = bare_machine / "apt-get"
    apt_get.write_text(f'#!/usr/bin/env bash\necho "$@" >> {bare_machine}/called\n')
    sudo = bare_machine / "sudo"
    sudo.write_text('#!/usr/bin/env bash\n[[ $1 != -n ]] || shift\nexec "$@"\n')
    for program in (*present, "true", "uv"):
        (bare_machine / program).symlink_to("/bin/true")
    for program in (apt_get, sudo):
        program.chmod(0o755)

    answer = run("tools/system_packages", path=str(bare_machine))

    assert answer.returncode == 0, answer.stderr
    update, install = (bare_machine / "called").read_text().splitlines()
    assert update.split()[0] == "update"
    assert PACKAGES & set(install.split()) == {"espeak-ng", "iproute2"}
