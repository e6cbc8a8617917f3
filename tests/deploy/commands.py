"""Programs run for a test: what they print is in the failure, and none may hang."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

DOCKER = "docker"
_TOLD = 4000


class CommandFailed(AssertionError):
    """A program that was to succeed did not."""


def run(
    *command: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    given: str | None = None,
    check: bool = True,
    deadline_s: float = 400,
) -> subprocess.CompletedProcess[str]:
    """
    Run a program to its end.

    Args:
        given: Its standard input; nothing by default.
        check: Whether it has to succeed.

    Raises:
        CommandFailed: It did not.
        subprocess.TimeoutExpired: It was still at it after `deadline_s`.
    """
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        input=given or "",
        capture_output=True,
        text=True,
        timeout=deadline_s,
    )
    if check and done.returncode != 0:
        said = (done.stdout + done.stderr)[-_TOLD:]
        raise CommandFailed(f"{' '.join(command)}: status {done.returncode}\n{said}")
    return done


def output(*command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """What a program that succeeded printed, without the last line break."""
    return run(*command, cwd=cwd, env=env).stdout.rstrip("\n")
