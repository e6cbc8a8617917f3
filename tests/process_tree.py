"""Processes that a process started, and what they hold."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def children_of(pid: int) -> set[int]:
    """Its children. The kernel lists them by the thread that started them, and threads end."""
    found: set[int] = set()
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            found |= set(map(int, (thread / "children").read_text().split()))
    return found


def status_bytes(pid: int, name: str) -> int:
    """A line of its status, in bytes: `VmHWM`, the most memory it ever held, or `VmRSS`."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) * 1024
