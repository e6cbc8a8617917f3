"""The Makefile and the scripts behind it."""

from __future__ import annotations

import re
import subprocess

from shared.settings import CHECKOUT


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )


def test_make_alone_explains_every_target():
    targets = re.findall(r"^\.PHONY: (\S+)$", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)

    listed = run("make").stdout

    assert re.findall(r"^  make (\S+) +\S", listed, re.MULTILINE) == targets


def test_a_timed_command_keeps_its_status_and_is_held_to_its_budget():
    answer = run("tools/timed", "nothing", "1", "sh", "-c", "exit 7")

    assert answer.returncode == 7
    assert answer.stdout == "nothing took 0 s, within its budget of 60 s\n"


def test_a_command_over_its_budget_is_said_to_be():
    answer = run("tools/timed", "sleep", "0", "sleep", "1.1")

    assert answer.stdout == "sleep took 1 s, OVER its budget of 0 s\n"
