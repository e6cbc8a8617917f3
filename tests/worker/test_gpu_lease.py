"""Workers that see the same GPUs take one each. The uuids are made up; the Redis is real."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis import Redis
from waiting import wait_until

from shared.settings import CHECKOUT
from worker.processes.gpu_lease import GpuLease, visible_gpus

UUIDS = [f"GPU-{n}" for n in range(4)]


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """An empty Redis."""
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def lease(redis: Redis) -> Callable[..., GpuLease]:
    """A function that makes the lease of a worker that sees all four GPUs."""
    return lambda worker, lease_s=30: GpuLease(redis, worker, UUIDS, lease_s=lease_s)


def test_workers_that_start_at_once_take_a_gpu_each(lease: Callable[..., GpuLease]) -> None:
    with ThreadPoolExecutor(4) as starting:
        taken = list(starting.map(lambda n: lease(f"w{n}").take(), range(4)))

    assert sorted(taken) == UUIDS


def test_more_workers_than_gpus_are_spread_evenly(lease: Callable[..., GpuLease]) -> None:
    taken = Counter(lease(f"w{n}").take() for n in range(10))

    assert sorted(taken.values()) == [2, 2, 3, 3]


def test_a_gpu_that_is_given_up_is_the_next_ones(lease: Callable[..., GpuLease]) -> None:
    leases = [lease(f"w{n}") for n in range(4)]
    taken = [each.take() for each in leases]
    leases[2].release()

    assert lease("w4").take() == taken[2]


def test_a_worker_that_takes_again_does_not_count_itself(lease: Callable[..., GpuLease]) -> None:
    first = lease("w0").take()

    assert lease("w0").take() == first
    assert sorted(lease(f"w{n}").take() for n in range(1, 4)) == UUIDS[1:]


def test_the_gpu_of_a_worker_that_died_is_free_once_its_lease_ran_out(
    redis: Redis, lease: Callable[..., GpuLease]
) -> None:
    died = lease("dead", lease_s=1).take()
    living = [lease(f"w{n}") for n in range(3)]
    for each in living:
        each.take()
    wait_until(lambda: not redis.exists(f"longhand:gpu:{died}"), 10, "the lease ran out")

    assert lease("next").take() == died


def test_a_lease_that_is_kept_does_not_run_out(
    redis: Redis, lease: Callable[..., GpuLease]
) -> None:
    kept = lease("w0", lease_s=1)
    uuid = kept.take()
    first_end = redis.zscore(f"longhand:gpu:{uuid}", "w0")
    with kept.kept():
        wait_until(lambda: time.time() > first_end + 1, 10)
        others = [lease(f"w{n}").take() for n in range(1, 4)]

    assert uuid not in others
    assert lease("w4").take() == uuid


def test_gpus_are_those_the_driver_lists(tmp_path: Path) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\nprintf 'GPU-aa\\nGPU-bb\\n'\n")
    smi.chmod(0o755)
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'GPU-cc'\nexit 9\n")
    broken.chmod(0o755)

    assert visible_gpus(str(smi)) == ["GPU-aa", "GPU-bb"]
    assert visible_gpus(str(broken)) == []
    assert visible_gpus("no such program") == []


ONE = """
import sys
from redis import Redis
from worker.processes.gpu_lease import one_gpu
from worker.settings import WorkerSettings
settings = WorkerSettings(device=sys.argv[2])
with Redis.from_url(sys.argv[1]) as redis, one_gpu(settings, redis, "w1", print):
    import os
    print(os.environ.get("CUDA_VISIBLE_DEVICES"))
"""


@pytest.mark.parametrize(
    ("listed", "device", "seen"),
    [
        ("GPU-aa GPU-bb", "auto", "GPU-bb"),
        ("GPU-aa GPU-bb", "cuda", "GPU-bb"),
        ("GPU-aa GPU-bb", "cuda:0", "None"),
        ("GPU-aa GPU-bb", "cpu", "None"),
        ("GPU-aa", "auto", "None"),
        ("", "auto", "None"),
    ],
)
def test_a_worker_is_shown_one_gpu_if_it_could_have_chosen(
    redis_url: str, redis: Redis, tmp_path: Path, listed: str, device: str, seen: str
) -> None:
    GpuLease(redis, "another", ["GPU-aa"]).take()
    smi = tmp_path / "nvidia-smi"
    smi.write_text(f"#!/bin/sh\nfor gpu in {listed}; do echo $gpu; done\n")
    smi.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = [sys.executable, "-c", ONE, redis_url, device]
    printed = subprocess.check_output(command, cwd=CHECKOUT, env=env, text=True, timeout=60)

    assert printed.split()[-1] == seen
    assert redis.zrange("longhand:gpu:GPU-bb", 0, -1) == []
