"""Jobs are settled when their run has ended, and what a deleted job left is removed."""

from __future__ import annotations

import pytest

from shared.errors import (
    StorageFull,
)
from shared.jobs import Jobs
from shared.jobs.moves import Moves
from shared.records import Status


def test_what_a_worker_that_died_left_unsettled_is_settled(jobs, redis, share, make_transcript):
    first, second = share(), share()
    jobs.runs.claim(first.id, 1, "w1")
    jobs.runs.finish(first.id, 1, make_transcript((0.0, 2.0, " hi")))
    # As it stands when the worker dies between the end of the run and this.
    redis.hset(f"longhand:job:{second.id}", mapping={"status": "running", "result_key": ""})
    redis.sadd(f"longhand:run:{first.id}:jobs", second.id)
    redis.zadd("longhand:settling", {first.id: 1})
    before = jobs.get(second.id).status

    assert before is Status.RUNNING
    assert jobs.runs.settle_left() == [first.id]
    assert jobs.get(second.id).status is Status.SUCCEEDED
    assert jobs.runs.settle_left() == []


def test_a_job_alone_whose_worker_died_just_after_its_end_is_settled(jobs, redis, submit):
    job_id = submit().id
    jobs.runs.claim(job_id, 1, "w1")
    ended = {"error": '{"code": "engine_failed", "message": "no"}'}
    Moves(redis, lease_s=30).move(job_id, Status.RUNNING, Status.FAILED, ended, attempt=1)

    assert jobs.get(job_id).status is Status.RUNNING
    assert jobs.runs.settle_left(older_than_s=60) == []  # its worker may be at it
    assert jobs.runs.settle_left() == [job_id]
    redis.flushall()
    assert jobs.get(job_id).error == {"code": "engine_failed", "message": "no"}


def test_a_job_that_failed_for_all_is_settled_by_the_reaper(redis, storage, share):
    hasty = Jobs(redis, storage, lease_s=0, max_attempts=1)
    first, second = share(), share()
    hasty.runs.claim(first.id, 1, "w1")

    assert hasty.runs.reap() == [first.id]
    assert hasty.get(second.id).error["code"] == "worker_lost"


def test_a_job_deleted_while_its_run_is_settled_leaves_nothing(
    redis, storage, share, make_transcript, tmp_path
):
    class Hasty:
        """Storage in which somebody deletes the job just before it has its result."""

        def __getattr__(self, name):
            return getattr(storage, name)

        def link(self, source, key):
            if key.endswith("result.json"):
                other.delete(second.id)
            storage.link(source, key)

    jobs = Jobs(redis, Hasty(), lease_s=30, max_attempts=3)
    other = Jobs(redis, storage, lease_s=30, max_attempts=3)
    first, second = share(jobs=jobs), share(jobs=jobs)
    jobs.runs.claim(first.id, 1, "w1")
    jobs.runs.finish(first.id, 1, make_transcript())

    assert not (tmp_path / "storage" / "jobs" / second.id).exists()


def test_what_a_deleted_job_left_for_its_run_is_removed_when_the_last_job_leaves(
    jobs, redis, share, files_of
):
    first, second = share(owner="ann"), share(owner="bob")
    jobs.runs.claim(first.id, 1, "w1")
    jobs.delete(first.id)
    jobs.cancel(second.id)
    jobs.runs.settle_left()

    assert files_of(first.id) == []
    assert not redis.exists(f"longhand:run:{first.id}")
    assert files_of(second.id) == ["audio", "record.json"]


def test_the_job_that_began_a_run_ends_though_the_others_have_no_room(
    jobs, redis, storage, share, make_transcript
):
    class Full:
        def __getattr__(self, name):
            return getattr(storage, name)

        def link(self, source, key):
            raise StorageFull("full")

    first, others = share(), [share() for _ in range(8)]
    jobs.runs.claim(first.id, 1, "w1")
    full = Jobs(redis, Full(), lease_s=30, max_attempts=3)
    full.runs.finish(first.id, 1, make_transcript((0.0, 2.0, " hi")))
    before = jobs.get(first.id).status, jobs.get(others[0].id).status
    jobs.runs.settle_left()

    assert before == (Status.SUCCEEDED, Status.RUNNING)
    assert all(jobs.get(other.id).status is Status.SUCCEEDED for other in others)


def test_a_run_that_cannot_be_read_does_not_keep_the_others_from_being_settled(jobs, redis, share):
    broken, sound = share(cache_key="one"), share(cache_key="another")
    for record in (broken, sound):
        jobs.runs.claim(record.id, 1, "w1")
        redis.hset(f"longhand:run:{record.id}", "status", "failed")
        redis.zadd("longhand:settling", {record.id: 1 if record is broken else 2})
    redis.hset(f"longhand:run:{broken.id}", mapping={"status": "succeeded", "audio": "{"})

    settled = jobs.runs.settle_left()

    assert settled == [sound.id]
    assert jobs.runs.settle_left() == []  # the broken one is put off
    assert redis.zscore("longhand:settling", broken.id) > 2


def test_a_job_whose_files_could_not_be_deleted_can_be_deleted_again(
    jobs, redis, storage, share, files_of
):
    class Broken:
        def __getattr__(self, name):
            return getattr(storage, name)

        def delete_all(self, prefix):
            raise OSError("the disk does not answer")

    job_id = share().id
    jobs.cancel(job_id)
    with pytest.raises(OSError, match="does not answer"):
        Jobs(redis, Broken(), lease_s=30, max_attempts=3).delete(job_id)
    jobs.delete(job_id)

    assert files_of(job_id) == []
