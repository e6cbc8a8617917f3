"""How many threads the engine is given when nobody says."""

from __future__ import annotations

import os

import pytest

from worker.cores import usable_cores
from worker.settings import WorkerSettings


def machine(root, cgroup, **limits):
    """Stand-ins for the files of the kernel below `root`."""
    for path, text in {"proc/self/cgroup": cgroup, **limits}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


@pytest.mark.parametrize(
    ("cgroup", "limits", "expected"),
    [
        ("0::/\n", {}, 8),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "300000 100000\n"}, 3),
        ("0::/a/b\n", {"sys/fs/cgroup/a/b/cpu.max": "250000 100000\n"}, 2),
        ("0::/a/b\n", {"sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
                       "sys/fs/cgroup/a/cpu.max": "400000 100000\n"}, 4),
        ("0::/a\n", {"sys/fs/cgroup/a/cpu.max": "50000 100000\n"}, 1),
        ("0::/of/the/host\n", {"sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "6400000 100000\n"}, 8),
        ("3:cpu,cpuacct:/a\n1:name=systemd:/\n", {
            "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "500000\n",
            "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000\n"}, 5),
        ("3:cpuset,cpu:/\n", {
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 8),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "nonsense\n"}, 8),
    ],
)  # fmt: skip
def test_cores_are_those_of_the_scheduler_within_every_quota(tmp_path, cgroup, limits, expected):
    assert usable_cores(machine(tmp_path, cgroup, **limits), n_allowed=8) == expected


def test_without_cgroups_the_scheduler_alone_decides(tmp_path):
    assert usable_cores(tmp_path, n_allowed=3) == 3
    assert usable_cores(tmp_path) == len(os.sched_getaffinity(0))


def test_the_engine_has_as_many_threads_as_cores_unless_somebody_says():
    assert WorkerSettings(engine_threads=0).n_threads == usable_cores()
    assert WorkerSettings(engine_threads=3).n_threads == 3
