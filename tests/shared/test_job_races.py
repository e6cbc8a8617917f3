"""What two callers, or a caller and a worker, do to one job at the same moment."""

from __future__ import annotations

import threading

import pytest
from redis import Redis

from shared.errors import JobNotFound, StorageFull
from shared.history import History
from shared.jobs import Jobs
from shared.jobs.moves import Moves
from shared.keys import SETTLING
from shared.listing import JobQuery, list_jobs
from shared.records import Status

LOST = {"code": "worker_lost", "message": "three workers died"}


def test_a_run_that_is_tried_again_while_it_is_settled_goes_on_for_all(
    jobs, redis, share, make_transcript
):
    first, second = share(), share()
    # The settling has read that the run failed; its owner has it tried again just then.
    Moves(redis, lease_s=30).settle(second.id, first.id, "")
    jobs.runs.claim(first.id, 1, "w1")
    jobs.runs.finish(first.id, 1, make_transcript((0.0, 2.0, " hi")))

    assert jobs.get(second.id).status is Status.SUCCEEDED


def test_a_job_that_left_and_is_tried_again_does_not_end_as_the_run_that_it_left(
    jobs, redis, share
):
    first, second = share(), share()
    jobs.runs.claim(first.id, 1, "w1")
    # The settling has read that the job waits; its owner cancels and retries it just then.
    jobs.cancel(second.id)
    jobs.retry(second.id)
    jobs.runs.fail(first.id, 1, LOST)
    is_settled = Moves(redis, lease_s=30).settle(second.id, first.id, "")

    assert not is_settled
    assert jobs.get(second.id).status is Status.QUEUED


def test_a_job_that_left_a_run_may_be_tried_again_after_the_run_failed(jobs, share):
    first, second = share(), share()
    jobs.cancel(first.id)
    jobs.runs.claim(first.id, 1, "w1")
    jobs.runs.fail(first.id, 1, LOST)

    assert jobs.retry(first.id).status is Status.QUEUED
    assert jobs.get(second.id).status is Status.FAILED
    assert jobs.runs.claim(first.id, 2, "w1") is not None


def test_a_job_that_left_a_run_gets_its_result_though_redis_is_lost(
    jobs, redis, share, make_transcript
):
    first, _ = share(), share()
    jobs.cancel(first.id)
    jobs.runs.claim(first.id, 1, "w1")
    jobs.runs.finish(first.id, 1, make_transcript())
    jobs.retry(first.id)
    redis.flushall()

    assert jobs.get(first.id).status is Status.SUCCEEDED


def test_a_run_that_all_have_left_is_tried_again_by_its_first_owner(jobs, share):
    first, second = share(), share()
    jobs.cancel(first.id)
    jobs.cancel(second.id)

    assert jobs.retry(first.id).status is Status.QUEUED
    assert jobs.runs.claim(first.id, 2, "w1") is not None


def test_two_who_change_different_things_of_a_job_change_both(jobs, share):
    job_id = share().id
    jobs.edit(job_id, {"label": "Monday"})
    jobs.edit(job_id, {"speaker_names": {"SPEAKER_00": "Ann"}})
    changed = jobs.get(job_id)
    jobs.edit(job_id, {"label": None})
    jobs.edit(job_id, {})

    assert (changed.label, changed.speaker_names) == ("Monday", {"SPEAKER_00": "Ann"})
    assert (jobs.get(job_id).label, jobs.get(job_id).speaker_names) == (None, {"SPEAKER_00": "Ann"})


def test_an_abandoned_job_is_cancelled_by_the_clock_of_redis(redis_url, jobs, storage, share):
    class Ahead(Redis):
        """A Redis whose clock is an hour ahead."""

        def time(self):
            seconds, micros = super().time()
            return seconds + 3600, micros

    job_id = share().id
    with Ahead.from_url(redis_url) as ahead:
        Jobs(ahead, storage, lease_s=30, max_attempts=3).callers.abandon(job_id, 0)
        elsewhere = jobs.cancel_abandoned()
        there = Jobs(ahead, storage, lease_s=30, max_attempts=3).cancel_abandoned()

    assert (elsewhere, there) == ([], [job_id])


@pytest.mark.parametrize("what", ["a new job", "a deleted job"])
def test_a_long_page_has_every_job_once_though_jobs_come_and_go(jobs, redis, storage, share, what):
    records = [share(cache_key=None) for _ in range(205)]
    n_reads = 0

    def read(job_ids):
        nonlocal n_reads
        n_reads += 1
        if n_reads == 1:
            share(cache_key=None) if what == "a new job" else jobs.delete(records[-1].id)
        return History(redis, storage).in_redis(job_ids)

    page = list_jobs(redis, "ann", JobQuery(limit=1000), read)

    found = [record.id for record in page.records if record.id != records[-1].id]
    assert found == [record.id for record in records[-2::-1]]


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_job_is_cancelled_though_a_full_disk_cannot_keep_its_record(
    redis, storage, share, is_shared
):
    class Full:
        """Storage that takes no more records for a while."""

        is_full = True

        def __getattr__(self, name):
            return getattr(storage, name)

        def create(self, key):
            if self.is_full and key.endswith("record.json"):
                raise StorageFull("full")
            return storage.create(key)

    full = Full()
    jobs = Jobs(redis, full, lease_s=30, max_attempts=3)
    records = [share(jobs=jobs), share(jobs=jobs)] if is_shared else [share(jobs=jobs)]
    job_id = records[-1].id
    was_cancelled = jobs.cancel(job_id)
    full.is_full = False
    jobs.runs.settle_left()
    redis.delete(f"longhand:job:{job_id}")

    assert was_cancelled
    assert jobs.get(job_id).status is Status.CANCELLED  # as storage has it
    assert redis.zcard(SETTLING) == 0


def test_a_job_that_was_deleted_and_then_cancelled_is_gone_when_its_run_ends(
    jobs, redis, storage, share, make_transcript
):
    first, second = share(), share()
    jobs.delete(first.id)
    was_cancelled = jobs.cancel(first.id)  # by somebody who had found it a moment before
    jobs.runs.claim(first.id, 1, "w1")
    jobs.runs.finish(first.id, 1, make_transcript())

    assert not was_cancelled
    with pytest.raises(JobNotFound):
        jobs.get(first.id)
    assert {key.split("/")[1] for key in storage.keys("jobs")} == {second.id}


def test_a_record_that_is_kept_while_its_job_is_deleted_does_not_stay(redis, storage, share):
    class Hasty:
        """Storage in which somebody keeps the record just after all was deleted."""

        def __getattr__(self, name):
            return getattr(storage, name)

        def delete_all(self, prefix):
            storage.delete_all(prefix)
            History(redis, storage).keep(prefix.rpartition("/")[2])

    jobs = Jobs(redis, Hasty(), lease_s=30, max_attempts=3)
    record = share(jobs=jobs)
    jobs.cancel(record.id)
    jobs.delete(record.id)

    assert list(storage.keys("jobs")) == []


def test_what_is_changed_while_a_record_is_kept_is_kept_too(jobs, redis, storage, share):
    class Hasty:
        """Storage in which somebody changes a job just before its record is written."""

        has_changed = False

        def __getattr__(self, name):
            return getattr(storage, name)

        def create(self, key):
            if key.endswith("record.json") and not self.has_changed:
                self.has_changed = True
                Moves(redis, lease_s=30).edit(record.id, {"label": "Monday"})
            return storage.create(key)

    record = share()
    Jobs(redis, Hasty(), lease_s=30, max_attempts=3).cancel(record.id)
    redis.delete(f"longhand:job:{record.id}")

    assert jobs.get(record.id).label == "Monday"


def test_a_job_deleted_while_it_is_tried_again_does_not_come_back(redis_url, jobs, storage, share):
    class Hasty(Redis):
        """A Redis in which somebody deletes the job just before it is looked for."""

        def exists(self, *names):
            jobs.delete(record.id)
            return super().exists(*names)

    record = share()
    jobs.cancel(record.id)
    with Hasty.from_url(redis_url) as hasty, pytest.raises(JobNotFound):
        Jobs(hasty, storage, lease_s=30, max_attempts=3).retry(record.id)

    assert jobs.list("ann", JobQuery()).records == []
    assert list(storage.keys("jobs")) == []


def test_a_caller_back_with_their_key_just_before_their_job_is_cancelled_has_it(
    redis_url, jobs, storage, share
):
    named = {"idempotency_key": "ann:1", "fingerprint": "f", "cache_key": None}

    class Hasty(Redis):
        """A Redis in which somebody sends their request again once the due jobs were read."""

        def zrangebyscore(self, *arguments, **options):
            due = super().zrangebyscore(*arguments, **options)
            share(**named)
            return due

    record = share(**named)
    jobs.callers.abandon(record.id, 0)
    with Hasty.from_url(redis_url) as hasty:
        cancelled = Jobs(hasty, storage, lease_s=30, max_attempts=3).cancel_abandoned()

    assert cancelled == []
    assert jobs.get(record.id).status is Status.QUEUED


def test_all_of_a_job_is_deleted_though_others_write_there_just_now(storage):
    has_written = threading.Event()

    def write() -> None:
        for n in range(300):
            with storage.create(f"jobs/one/{n % 3}/result.json") as out:
                out.write(b"{}")
        has_written.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not has_written.is_set():
        storage.delete_all("jobs/one")
    writer.join(20)
    storage.delete_all("jobs/one")

    assert list(storage.keys("jobs")) == []
