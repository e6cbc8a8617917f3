"""A whole stack as a caller and as an operator see it, with clips and the demo model: fixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from httpx2 import Client
from redis import Redis
from spoken import Clip, draw_clips, local_models
from waiting import wait_until

from cli.stack import Stack
from shared.jobs import Jobs
from shared.records import JobRecord
from shared.storage import open_storage
from shared.transcript import Transcript
from shared.workers import WorkerRecord, Workers
from worker.processes.local import LocalModels
from worker.settings import quieten_libraries

quieten_libraries()


@pytest.fixture(scope="session")
def models(demo_model: Path) -> LocalModels:
    """The demo model, loaded once in this process."""
    return local_models()


@pytest.fixture
def clips(tmp_path: Path) -> Callable[[int, int], list[Clip]]:
    """A function that draws `n` clips by a seed."""
    return lambda n, seed: draw_clips(tmp_path, n, seed)


class Site:
    """A running stack as a caller and as an operator see it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.http = Client(base_url=stack.url, timeout=60)
        self.redis = Redis.from_url(stack.redis_url)
        self.jobs = Jobs(self.redis, open_storage(stack.storage_dir), lease_s=30, max_attempts=3)

    def close(self) -> None:
        """Let go of the connections."""
        self.http.close()
        self.redis.close()

    def upload(self, path: Path, **fields: str | list[str]) -> str:
        """Submit a file, to be transcribed anew unless `cache` says otherwise; its job id."""
        data = {"cache": "false", **fields}
        with path.open("rb") as file:
            answer = self.http.post("/transcribe/file", files={"file": file}, data=data)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def job(self, job_id: str) -> JobRecord:
        """The job as it stands."""
        return self.jobs.get(job_id)

    def wait(self, job_id: str, deadline_s: float = 180) -> JobRecord:
        """Wait for a job to end."""
        wait_until(lambda: self.job(job_id).status.is_final, deadline_s, f"job {job_id} ends")
        return self.job(job_id)

    def transcript(self, job_id: str, deadline_s: float = 180) -> Transcript:
        """The stored result of a job that succeeded."""
        record = self.wait(job_id, deadline_s)
        assert record.status == "succeeded", record
        return self.jobs.read_transcript(record)

    def workers(self) -> list[WorkerRecord]:
        """The live workers."""
        return Workers(self.redis).live()

    def worker(self, name: str) -> WorkerRecord:
        """One live worker."""
        return next(worker for worker in self.workers() if worker.name == name)


@pytest.fixture
def open_site(start_stack: Callable[..., Stack]) -> Iterator[Callable[..., Site]]:
    """A function that starts a whole stack and gives it as a `Site`."""
    sites: list[Site] = []

    def start(**options: object) -> Site:
        sites.append(Site(start_stack(**options)))
        return sites[-1]

    yield start
    for site in sites:
        site.close()


@pytest.fixture(scope="module")
def usual_site(start_stack_once: Callable[..., Stack]) -> Iterator[Site]:
    """
    A whole stack with the settings that a site has if nobody sets any, and another name for `demo`.

    The tests of a file share it, and leave its worker alive and idle.
    """
    site = Site(start_stack_once(env={"LONGHAND_MODEL_ALIASES": "house=demo"}))
    yield site
    site.close()
