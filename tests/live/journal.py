"""What happens to jobs, for tests that only listen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from redis import Redis

from shared.jobs import Jobs
from shared.keys import EVENTS, EVENTS_KEPT
from shared.records import JobEntry, JobRecord, StoredAudio, new_job_id
from shared.request import TranscriptionRequest
from shared.storage import open_storage


class Journal:
    """What happens to jobs."""

    def __init__(self, redis: Redis, storage_dir: Path) -> None:
        self.redis = redis
        self.jobs = Jobs(redis, open_storage(storage_dir), lease_s=30, max_attempts=3)

    def submit(self, owner: str = "local") -> str:
        """A job that waits; its id."""
        job_id = new_job_id()
        audio = StoredAudio(key="k", filename="a.wav", n_bytes=1, sha256="0" * 64, duration_s=1.0)
        entry = JobEntry(owner=owner)
        self.jobs.submit(job_id, TranscriptionRequest(model="demo"), audio, entry=entry)
        return job_id

    def say(self, job_id: str, kind: str = "job", *, owner: str = "local", **more: Any) -> str:
        """Write an event, as scripts that change a job do; returns its id."""
        data = json.dumps({"job_id": job_id} | more)
        entry: dict[Any, Any] = {"job": job_id, "owner": owner, "type": kind, "data": data}
        said: Any = self.redis.xadd(EVENTS, entry, maxlen=EVENTS_KEPT)
        return str(said.decode())

    def start(self, job_id: str) -> JobRecord:
        """A worker takes the job."""
        record = self.jobs.runs.claim(job_id, 1, "w1")
        assert record is not None
        return record

    def report(self, job_id: str, progress: float) -> str:
        """The worker says how far it is; the id of the event."""
        assert self.jobs.runs.report(job_id, 1, {"progress": progress})
        return self.last()

    def cancel(self, job_id: str) -> str:
        """The job ends; the id of the event."""
        assert self.jobs.cancel(job_id)
        return self.last()

    def last(self) -> str:
        """The id of the newest event."""
        newest: Any = self.redis.xrevrange(EVENTS, count=1)
        return str(newest[0][0].decode())
