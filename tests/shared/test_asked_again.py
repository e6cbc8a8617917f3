"""Jobs that are asked for again: with a key, by callers who had gone, after a failure."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from job_traces import slips

from shared.errors import (
    AudioGone,
    IdempotencyMismatch,
    JobNotRetryable,
)
from shared.jobs import Jobs
from shared.records import Status


def test_one_idempotency_key_makes_one_job(jobs, redis, share):
    named = {"idempotency_key": "ann:1", "fingerprint": "f", "cache_key": None}
    first, second = share(**named), share(**named)

    assert second.id == first.id
    assert len(slips(redis)) == 1
    with pytest.raises(IdempotencyMismatch):
        share(**named | {"fingerprint": "another"})
    jobs.delete(first.id)
    assert share(**named).id != first.id


def test_of_many_with_one_idempotency_key_one_is_a_job(redis_url, redis, storage, share):
    named = {"idempotency_key": "ann:1", "fingerprint": "f", "cache_key": None}
    with ThreadPoolExecutor(16) as pool:
        ids = {record.id for record in pool.map(lambda _: share(**named), range(16))}

    assert len(ids) == 1
    assert len(slips(redis)) == 1


def test_an_abandoned_job_is_cancelled_unless_it_is_asked_for_again(jobs, share):
    named = {"idempotency_key": "ann:1", "fingerprint": "f", "cache_key": None}
    gone, back = share(cache_key=None), share(**named)
    jobs.callers.abandon(gone.id, 0)
    jobs.callers.abandon(back.id, 0)
    share(**named)

    assert jobs.cancel_abandoned() == [gone.id]
    assert jobs.get(back.id).status is Status.QUEUED


def test_an_abandoned_run_goes_on_for_a_caller_who_came_back(jobs, share, make_transcript):
    gone, back = share(), share()
    jobs.callers.abandon(gone.id, 0)
    jobs.cancel_abandoned()
    jobs.runs.claim(gone.id, 1, "w1")

    assert jobs.runs.finish(gone.id, 1, make_transcript())
    assert jobs.get(back.id).status is Status.SUCCEEDED


def test_a_job_that_failed_is_tried_again_with_its_options(jobs, redis, share, make_transcript):
    job_id = share(label="mine").id
    jobs.runs.claim(job_id, 1, "w1")
    jobs.runs.fail(job_id, 1, {"code": "engine_failed", "message": "no"})
    again = jobs.retry(job_id)

    assert (again.status, again.attempt, again.first_attempt) == (Status.QUEUED, 2, 2)
    assert (again.error, again.ended_at, again.label) == (None, None, "mine")
    assert slips(redis)[-1].decode() == f"{job_id}-2"
    jobs.runs.claim(job_id, 2, "w1")
    assert jobs.runs.finish(job_id, 2, make_transcript())


def test_a_job_tried_again_has_all_its_attempts_again(redis, storage, share):
    hasty = Jobs(redis, storage, lease_s=0, max_attempts=2)
    job_id = share().id
    hasty.runs.claim(job_id, 1, "w1")
    hasty.cancel(job_id)
    hasty.retry(job_id)
    hasty.runs.claim(job_id, 2, "w1")

    assert hasty.runs.reap() == [job_id]
    assert hasty.get(job_id).status is Status.QUEUED


def test_a_cancelled_job_whose_run_goes_on_joins_it_again(jobs, share, make_transcript):
    first, _ = share(), share()
    jobs.runs.claim(first.id, 1, "w1")
    jobs.cancel(first.id)
    again = jobs.retry(first.id)
    jobs.runs.finish(first.id, 1, make_transcript((0.0, 2.0, " hi")))

    assert again.status is Status.RUNNING
    assert jobs.read_transcript(jobs.get(first.id)).text == "hi"


def test_only_what_ended_without_a_result_is_tried_again(jobs, redis, share, make_transcript):
    job_id = share().id
    with pytest.raises(JobNotRetryable, match="the job is queued"):
        jobs.retry(job_id)
    jobs.runs.claim(job_id, 1, "w1")
    jobs.runs.finish(job_id, 1, make_transcript())
    with pytest.raises(JobNotRetryable, match="the job is succeeded"):
        jobs.retry(job_id)
    gone = share(cache_key=None).id
    jobs.cancel(gone)
    redis.hset(f"longhand:job:{gone}", "audio_removed_at", 1)
    with pytest.raises(AudioGone, match="LONGHAND_KEEP_AUDIO_S"):
        jobs.retry(gone)


def test_an_abandonment_ends_with_its_job(jobs, redis, share):
    job_id = share().id
    jobs.callers.abandon(job_id, 0)
    jobs.runs.claim(job_id, 1, "w1")
    jobs.runs.fail(job_id, 1, {"code": "engine_failed", "message": "no"})
    jobs.retry(job_id)

    assert jobs.cancel_abandoned() == []
    assert jobs.get(job_id).status is Status.QUEUED


def test_a_key_whose_job_was_given_up_for_a_caller_who_had_gone_makes_another(jobs, share):
    named = {"idempotency_key": "ann:1", "fingerprint": "f", "cache_key": None}
    first = share(**named)
    jobs.callers.abandon(first.id, 0)
    jobs.cancel_abandoned()
    second = share(**named)
    jobs.cancel(second.id)

    assert second.id != first.id
    assert share(**named).id == second.id, "who cancels a job has cancelled it"
