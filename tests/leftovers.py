"""Finding processes that should be gone."""

from __future__ import annotations

from pathlib import Path


def processes_of(directory: Path) -> list[str]:
    """
    What runs with `directory` in its environment or command line, as `pid command`.

    Every process of a stack is told its directories by environment, and hands
    them down to those it starts.
    """
    wanted = str(directory).encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue  # gone meanwhile, or another user's
        if state != "Z" and (wanted in command or wanted in environment):
            found.append(f"{process.name} {command.replace(bytes(1), b' ').decode()}")
    return found
