"""The thread that gives the jobs of dead workers to others."""

from __future__ import annotations

import time

import pytest
from redis import Redis

from shared.jobs import Jobs
from shared.reaper import Reaper
from shared.records import Status


@pytest.fixture
def start_reaper():
    """Start reapers; each is stopped when the test ends."""
    started = []

    def start(redis, jobs, **options):
        reaper = Reaper(redis, jobs, **options)
        started.append(reaper)
        reaper.start()
        return reaper

    yield start
    for reaper in started:
        reaper.stop()
    for reaper in started:
        reaper.join(timeout=10)


def becomes(claim, within_s=10.0):
    """Whether a claim holds within so many seconds."""
    end = time.monotonic() + within_s
    while not claim():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_a_dead_workers_job_is_queued_again(redis, storage, submit, start_reaper):
    jobs = Jobs(redis, storage, lease_s=0, max_attempts=3)
    job_id = submit().id
    jobs.runs.claim(job_id, 1, "worker-a")
    start_reaper(redis, jobs, grace_s=0)

    assert becomes(lambda: jobs.get(job_id).status is Status.QUEUED)
    assert jobs.get(job_id).attempt == 2


def test_two_reapers_redeliver_a_job_once(redis, redis_url, storage, submit, start_reaper):
    jobs = Jobs(redis, storage, lease_s=0, max_attempts=3)
    job_id = submit().id
    jobs.runs.claim(job_id, 1, "worker-a")
    with Redis.from_url(redis_url) as other:
        start_reaper(redis, jobs, grace_s=0)
        start_reaper(other, jobs, grace_s=0)
        slip = f"{job_id}-2".encode()
        delivered = becomes(lambda: slip in redis.lrange("rq:queue:longhand", 0, -1))

        assert delivered
        assert redis.lrange("rq:queue:longhand", 0, -1).count(slip) == 1


def test_nobody_is_reaped_while_workers_come_back_from_an_outage(
    redis, storage, submit, start_reaper
):
    jobs = Jobs(redis, storage, lease_s=0, max_attempts=3)
    job_id = submit().id
    jobs.runs.claim(job_id, 1, "worker-a")
    start_reaper(redis, jobs, grace_s=3600)

    assert not becomes(lambda: jobs.get(job_id).status is not Status.RUNNING, within_s=3)
