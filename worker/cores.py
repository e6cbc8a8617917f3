"""How many CPU cores this process may use, by its affinity and by the quotas of its cgroups."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

_CONTROLLERS = Path("sys/fs/cgroup")
_OLDER_FOLDERS = ("cpu", "cpu,cpuacct")


def usable_cores(root: Path = Path("/"), *, n_allowed: int | None = None) -> int:
    """
    How many cores the engine can use without being throttled; at least 1.

    Args:
        root: The folder that holds `proc` and `sys`.
        n_allowed: How many cores the scheduler lets this process run on; None to ask it.
    """
    allowed = n_allowed if n_allowed is not None else len(os.sched_getaffinity(0))
    whole = [int(quota) for quota in _quotas(root)]  # parts of a core do not count
    return max(1, min([allowed, *whole]))


def _quotas(root: Path) -> Iterator[float]:
    """Yield each limit on this process, in cores: of its cgroup and of all cgroups above it."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            folders = [root / _CONTROLLERS, root / _CONTROLLERS / "unified"]
        elif "cpu" in controllers.split(","):
            folders = [root / _CONTROLLERS / name for name in _OLDER_FOLDERS]
        else:
            continue
        for folder in folders:
            for below in (PurePosixPath(path), *PurePosixPath(path).parents):
                # In a container this path is the host's and missing; its own cgroup is the root.
                with suppress(OSError, ValueError, ZeroDivisionError):
                    yield _quota(folder / str(below).strip("/"), is_older=bool(controllers))


def _quota(folder: Path, *, is_older: bool) -> float:
    """
    The limit of one cgroup, in cores.

    Raises:
        OSError, ValueError: It has none.
    """
    if is_older:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        period = int((folder / "cpu.cfs_period_us").read_text())
    else:
        first, second = (folder / "cpu.max").read_text().split()
        quota, period = int(first), int(second)  # `max` is no number: ValueError
    if quota <= 0:
        raise ValueError("no limit")
    return quota / period
