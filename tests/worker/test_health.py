"""What a container's health check finds out."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from redis import Redis

from shared.settings import CHECKOUT
from shared.workers import WorkerRecord, Workers
from worker.health import is_live


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """An empty Redis."""
    with Redis.from_url(redis_url) as client:
        yield client


def record(host: str) -> WorkerRecord:
    return WorkerRecord(
        name=f"{host}-1",
        host=host,
        pid=1,
        engine="faster_whisper",
        device="cpu",
        compute_type="int8",
        models=("demo",),
        slots=1,
        started_at=time.time(),
    )


def test_only_a_worker_of_this_very_host_counts(redis: Redis) -> None:
    Workers(redis).publish(record("box-a"))

    assert is_live(redis, "box-a")
    assert not is_live(redis, "box-b")


def check(redis_url: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "worker.health"],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"], "LONGHAND_REDIS_URL": redis_url},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stderr


def test_the_check_fails_while_no_worker_takes_jobs(redis_url: str) -> None:
    status, said = check(redis_url)

    assert status == 1
    assert said.endswith("takes jobs\n")


def test_the_check_fails_with_a_sentence_when_redis_is_away() -> None:
    status, said = check("redis://127.0.0.1:1/0")

    assert status == 1
    assert said.startswith("Redis cannot be asked: ")
    assert "Traceback" not in said
