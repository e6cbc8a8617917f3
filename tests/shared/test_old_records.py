"""
A Redis that commit 5dd31bc filled goes on: there the first job of a run was the run as well.

`older_redis.json` holds what that commit wrote, as plain commands of Redis, and its files.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.submission.batches import Batches
from shared.errors import JobNotFound
from shared.jobs import Jobs
from shared.listing import JobQuery
from shared.records import Status

OLDER = json.loads(Path(__file__).with_name("older_redis.json").read_text(encoding="utf-8"))
IDS = OLDER["ids"]


@pytest.fixture(autouse=True)
def loaded(redis, storage):
    """Redis and storage as the older version left them; the leases of its workers ran out."""
    for command in OLDER["commands"]:
        redis.execute_command(*command)
    for key, text in OLDER["files"]:
        with storage.create(key) as out:
            out.write(text.encode())
    for run_id, _ in redis.zscan("longhand:leases")[1]:
        redis.zadd("longhand:leases", {run_id: 1})


def status(jobs, name):
    return jobs.get(IDS[name]).status


def finish(jobs, name, transcript, attempt=1):
    assert jobs.runs.claim(IDS[name], attempt, "worker-b") is not None
    assert jobs.runs.finish(IDS[name], attempt, transcript)


def test_a_queued_job_is_claimed_and_finished(jobs, redis, make_transcript):
    assert status(jobs, "queued") is Status.QUEUED
    assert jobs.figures.queue_position(IDS["queued"]) == 1
    finish(jobs, "queued", make_transcript((0.0, 1.0, " hi")))

    assert jobs.read_transcript(jobs.get(IDS["queued"])).text == "hi"
    assert f"{IDS['queued']}-1".encode() in redis.lrange("rq:queue:longhand-high", 0, -1)


def test_a_queued_job_whose_slip_is_lost_gets_a_new_one(jobs, redis):
    redis.delete("rq:queue:longhand-high")

    assert IDS["queued"] in jobs.runs.redeliver_lost_slips(0)


@pytest.mark.parametrize("cache_key", ["queued", "shared"])
def test_a_new_job_does_not_share_what_an_older_worker_may_have_in_hand(share, cache_key):
    assert (job := share(cache_key=cache_key)).run_id == job.id


def test_a_running_job_is_reaped_redelivered_and_resumed(jobs, redis, make_transcript):
    assert jobs.get(IDS["running"]).progress == 0.5
    assert IDS["running"] in jobs.runs.reap()
    record = jobs.get(IDS["running"])
    kept = jobs.runs.chunks.read(IDS["running"])

    assert (record.status, record.attempt) == (Status.QUEUED, 2)
    assert f"{IDS['running']}-2".encode() in redis.lrange("rq:queue:longhand", 0, -1)
    assert kept is not None
    assert (kept[0], list(kept[1])) == ("plan", [0])
    finish(jobs, "running", make_transcript(), attempt=2)
    assert status(jobs, "running") is Status.SUCCEEDED


def test_those_who_followed_a_running_job_have_its_result(jobs, redis, make_transcript):
    jobs.runs.reap()
    finish(jobs, "leader", make_transcript((0.0, 1.0, " hi")), attempt=2)

    assert status(jobs, "leader") is Status.SUCCEEDED
    assert jobs.read_transcript(jobs.get(IDS["follower"])).text == "hi"
    assert redis.zscore("longhand:webhooks", IDS["follower"]) is not None
    assert redis.exists(f"longhand:job:{IDS['leader']}:followers") == 0


@pytest.mark.parametrize("first", ["leader", "follower"])
def test_a_run_ends_when_both_who_shared_it_cancel(jobs, first):
    both = [first, "follower" if first == "leader" else "leader"]
    cancelled = [jobs.cancel(IDS[name]) for name in both]
    jobs.runs.reap()

    assert cancelled == [True, True]
    assert [status(jobs, name) for name in both] == [Status.CANCELLED] * 2
    assert jobs.runs.claim(IDS["leader"], 2, "worker-b") is None


@pytest.mark.parametrize("how", ["left", "deleted"])
def test_a_job_whose_first_owner_had_left_runs_on_for_the_other(jobs, how, make_transcript):
    first, other = f"{how}_leader", f"{how}_follower"
    if how == "left":
        assert status(jobs, first) is Status.CANCELLED
    else:
        with pytest.raises(JobNotFound):
            jobs.get(IDS[first])
    assert status(jobs, other) is Status.QUEUED
    finish(jobs, first, make_transcript((0.0, 1.0, " hi")))

    assert jobs.read_transcript(jobs.get(IDS[other])).text == "hi"
    if how == "deleted":
        with pytest.raises(JobNotFound):
            jobs.get(IDS[first])


def test_a_job_its_owner_had_left_is_tried_again(jobs, make_transcript):
    assert status(jobs, "left_leader") is Status.CANCELLED
    again = jobs.retry(IDS["left_leader"])
    finish(jobs, "left_leader", make_transcript())

    assert again.status is Status.QUEUED
    assert status(jobs, "left_leader") is Status.SUCCEEDED
    assert status(jobs, "left_follower") is Status.SUCCEEDED


def test_what_a_worker_that_died_left_unsettled_is_settled(jobs):
    assert IDS["unsettled_leader"] in jobs.runs.settle_left()
    assert jobs.read_transcript(jobs.get(IDS["unsettled_follower"])).text == "late"


def test_jobs_that_ended_are_read_listed_shared_and_deleted(jobs, share, redis):
    assert jobs.read_transcript(jobs.get(IDS["succeeded"])).text == "hi"
    assert jobs.get(IDS["failed"]).error == {"code": "engine_failed", "message": "no"}
    labelled = jobs.list("ann", JobQuery(label="Monday")).records
    assert [record.id for record in labelled] == [IDS["succeeded"]]
    assert share(idempotency_key="key", fingerprint="f").id == IDS["succeeded"]
    assert share(cache_key="done").status is Status.SUCCEEDED
    jobs.delete(IDS["succeeded"])
    with pytest.raises(JobNotFound):
        jobs.get(IDS["succeeded"])
    assert redis.exists("longhand:cache:done") == 0


@pytest.mark.parametrize("name", ["failed", "cancelled"])
def test_a_job_that_ended_without_a_result_is_tried_again(jobs, redis, name, make_transcript):
    again = jobs.retry(IDS[name])
    finish(jobs, name, make_transcript(), attempt=2)

    assert (again.status, again.first_attempt) == (Status.QUEUED, 2)
    assert status(jobs, name) is Status.SUCCEEDED


def requeue_as_before(redis, job_id, **fields):
    """Have a job wait for its second attempt, as a gateway of that commit does."""
    changes = {"status": "queued", "attempt": 2, "stage": "", "worker": "", "progress": 0.0}
    redis.hset(f"longhand:job:{job_id}", mapping=changes | fields)
    redis.zrem("longhand:leases", job_id)
    redis.zadd("longhand:queued:normal", {job_id: 1})
    redis.delete("rq:queue:longhand")  # the slips of both attempts were taken


@pytest.mark.parametrize("is_first", [True, False])
def test_a_gateway_not_updated_yet_has_a_job_of_a_new_worker_tried_again(
    jobs, redis, share, make_transcript, is_first
):
    both = share(), share()
    jobs.runs.claim(both[0].id, 1, "worker-b")
    jobs.runs.fail(both[0].id, 1, {"code": "engine_failed", "message": "no"})
    again = both[0 if is_first else 1].id
    requeue_as_before(redis, again, first_attempt=2, follows="", cache="", started_at="")

    assert again in jobs.runs.redeliver_lost_slips(0)
    assert jobs.runs.claim(again, 2, "worker-b").first_attempt == 2
    assert jobs.runs.finish(again, 2, make_transcript())
    assert [jobs.get(job.id).status for job in both].count(Status.SUCCEEDED) == 1


def test_a_gateway_not_updated_yet_takes_a_run_from_a_new_worker_that_died(
    jobs, redis, share, make_transcript
):
    both = share(), share()
    jobs.runs.claim(both[0].id, 1, "worker-b")
    requeue_as_before(redis, both[0].id)

    assert not jobs.runs.report(both[0].id, 1, {})
    assert jobs.runs.claim(both[0].id, 2, "worker-b").first_attempt == 1
    assert jobs.runs.finish(both[0].id, 2, make_transcript())
    assert [jobs.get(job.id).status for job in both] == [Status.SUCCEEDED] * 2


def test_a_batch_is_read(jobs, redis, storage):
    batches = Batches(redis, storage, jobs)
    batch = batches.get("e" * 32, owner="ann")

    assert [job.id for job in batches.records(batch)] == [IDS["succeeded"], IDS["failed"]]
    assert [job.status for job in batches.records(batch)] == ["succeeded", "failed"]


def test_all_that_was_left_goes_on_to_its_end(redis, storage, make_transcript):
    jobs = Jobs(redis, storage, lease_s=30, max_attempts=3)
    jobs.runs.reap()
    jobs.runs.settle_left()
    for run_id, attempt in [("queued", 1), ("running", 2), ("leader", 2), ("left_leader", 1)]:
        finish(jobs, run_id, make_transcript(), attempt=attempt)
    finish(jobs, "deleted_leader", make_transcript())

    ended = [status(jobs, name) for name in IDS if name != "deleted_leader"]
    assert all(each.is_final for each in ended)
    assert redis.keys("longhand:job:*:followers") == []
    assert redis.zcard("longhand:settling") == redis.zcard("longhand:leases") == 0
    assert jobs.figures.counts() == {"queued": 0, "running": 0}
