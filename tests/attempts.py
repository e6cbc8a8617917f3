"""Jobs for a worker of a test, and one attempt at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from shared.jobs import Jobs
from shared.records import JobRecord, StoredAudio, new_job_id
from shared.request import TranscriptionRequest
from shared.storage import open_storage
from worker.job import WorkerServices, run_job
from worker.settings import WorkerSettings


@pytest.fixture
def settings(redis_url: str, storage_dir: Path, tmp_path: Path) -> WorkerSettings:
    return WorkerSettings(
        redis_url=redis_url,
        storage_dir=storage_dir,
        scratch_dir=tmp_path / "scratch",
        default_model="demo",
        downloads=False,
        device="cpu",
    )


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as redis:
        yield redis


@pytest.fixture
def jobs(redis: Redis, storage_dir: Path) -> Jobs:
    return Jobs(redis, open_storage(storage_dir), lease_s=30, max_attempts=3)


@pytest.fixture
def submit(jobs: Jobs, storage_dir: Path) -> Callable[..., str]:
    """Submit a file's bytes; its job id."""

    def submit(data: bytes, **fields: str) -> str:
        job_id = new_job_id()
        key = f"jobs/{job_id}/audio"
        with open_storage(storage_dir).create(key) as out:
            out.write(data)
        audio = StoredAudio(key=key, filename="a", n_bytes=len(data), sha256="", duration_s=1)
        jobs.submit(job_id, TranscriptionRequest(**fields), audio)
        return job_id

    return submit


def attempt(services: WorkerServices, job_id: str) -> JobRecord:
    """Run the first attempt; the job as it then is. Nothing stays in scratch."""
    run_job(services, job_id, 1)
    assert list(services.scratch.iterdir()) == []
    assert services.leases.n_held == 0
    return services.jobs.get(job_id)


def error_of(record: JobRecord) -> tuple[str, str]:
    assert record.status == "failed", record
    assert record.error is not None
    return record.error["code"], record.error["message"]
