"""Finding processes that should be gone."""

from __future__ import annotations

import os
from pathlib import Path


def processes_of(directory: Path) -> list[str]:
    """
    What runs with `directory` in its environment or command line, or in it, as `pid command`.

    Every process of a stack is told its directories by environment, and hands
    them down to those it starts. Redis writes over its environment, but works
    in its directory.
    """
    wanted = str(directory).encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
            works_in = os.readlink(process / "cwd").encode()
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue  # gone meanwhile, or another user's
        if state != "Z" and any(wanted in text for text in (command, environment, works_in)):
            found.append(f"{process.name} {command.replace(bytes(1), b' ').decode()}")
    return found
