"""What ended outlives Redis, and goes when it is deleted."""

from __future__ import annotations

import pytest

from shared.errors import EngineFailed, JobNotFound, StorageFull
from shared.jobs import Jobs
from shared.records import job_prefix
from shared.storage import KeyNotFound


@pytest.mark.parametrize("ending", ["succeeded", "failed", "cancelled", "worker_lost"])
def test_an_ended_job_outlives_redis(jobs, forgetful, redis, submit, make_transcript, ending):
    job_id = submit(language="zh").id
    if ending == "succeeded":
        jobs.runs.claim(job_id, 1, "worker-a")
        jobs.runs.finish(job_id, 1, make_transcript((0.0, 1.0, "头发")))
    elif ending == "failed":
        jobs.runs.claim(job_id, 1, "worker-a")
        jobs.runs.fail(job_id, 1, EngineFailed("no").to_value())
    elif ending == "cancelled":
        jobs.cancel(job_id)
    else:
        for attempt in (1, 2, 3):
            forgetful.runs.claim(job_id, attempt, "worker-a")
            forgetful.runs.reap()
    before = jobs.get(job_id)
    redis.flushall()

    assert before.status.is_final
    assert jobs.get(job_id) == before
    if ending == "succeeded":
        assert jobs.read_transcript(jobs.get(job_id)).text == "头发"


def test_an_archived_job_can_be_deleted(jobs, redis, submit, files_of):
    job_id = submit().id
    jobs.cancel(job_id)
    redis.flushall()
    jobs.delete(job_id)

    assert files_of(job_id) == []
    with pytest.raises(JobNotFound):
        jobs.get(job_id)


def test_a_finished_result_that_was_removed_is_not_found(jobs, storage, submit, make_transcript):
    job_id = submit().id
    jobs.runs.claim(job_id, 1, "worker-a")
    jobs.runs.finish(job_id, 1, make_transcript())
    storage.delete_all(f"{job_prefix(job_id)}/1")

    with pytest.raises(KeyNotFound):
        jobs.read_transcript(jobs.get(job_id))


class StorageThat:
    """A real storage that does something before an object is created."""

    def __init__(self, storage, before):
        self._storage = storage
        self._before = before

    def __getattr__(self, name):
        return getattr(self._storage, name)

    def create(self, key):
        self._before(key)
        return self._storage.create(key)


def test_a_job_deleted_while_it_is_archived_does_not_come_back(jobs, redis, storage, submit):
    archiving = Jobs(
        redis,
        StorageThat(storage, lambda key: jobs.delete(key.split("/")[1])),
        lease_s=30,
        max_attempts=3,
    )
    job_id = submit().id
    archiving.cancel(job_id)

    with pytest.raises(JobNotFound):
        jobs.get(job_id)


def test_a_queued_job_can_be_deleted_while_storage_is_full(jobs, redis, storage, submit):
    def refuse(key):
        raise StorageFull("full")

    full = Jobs(redis, StorageThat(storage, refuse), lease_s=30, max_attempts=3)
    job_id = submit().id
    full.delete(job_id)

    with pytest.raises(JobNotFound):
        jobs.get(job_id)
