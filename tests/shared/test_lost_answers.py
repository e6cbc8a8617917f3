"""What Redis did though its answer was lost is had, and had once."""

from __future__ import annotations

import pytest
from job_traces import AUDIO
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis_line import RedisLine

from shared.connections import connect_patiently
from shared.jobs import Jobs
from shared.records import Status


@pytest.fixture
def line(redis_url):
    """A connection to Redis that can lose an answer."""
    with RedisLine(redis_url) as line:
        yield line


@pytest.fixture
def distant(line, storage):
    """Jobs as a worker at the end of that line sees them."""
    with connect_patiently(line.url) as redis:
        yield Jobs(redis, storage, lease_s=30, max_attempts=3)


def test_a_job_whose_slip_finds_redis_away_is_accepted_all_the_same(
    redis_url, storage, share, redis
):
    with RedisLine(redis_url) as line:
        distant = Redis.from_url(line.url, retry=Retry(NoBackoff(), 0))
        jobs = Jobs(distant, storage, lease_s=30, max_attempts=3)
        line.lose_answer_to(b"rq:queue:longhand")
        record = share(jobs=jobs)
        distant.close()

    assert line.n_lost == 1
    assert record.status is Status.QUEUED
    assert storage.read(record.audio.key) == AUDIO


def test_a_result_is_kept_when_redis_answer_to_its_publication_is_lost(
    distant, line, submit, make_transcript
):
    job_id = submit().id
    distant.runs.claim(job_id, 1, "worker-a")
    line.lose_answer_to(b"EVALSHA")
    finished = distant.runs.finish(job_id, 1, make_transcript((0.0, 1.0, " hi")))

    assert finished
    assert line.n_lost == 1
    assert distant.read_transcript(distant.get(job_id)).text == "hi"


def test_a_claim_is_had_when_redis_answer_to_it_is_lost(distant, line, jobs, submit):
    job_id = submit().id
    line.lose_answer_to(b"EVALSHA")
    claimed = distant.runs.claim(job_id, 1, "worker-a")

    assert claimed.worker == "worker-a"
    assert jobs.runs.claim(job_id, 1, "worker-a") is None


def test_a_job_is_cancelled_when_redis_answer_to_that_is_lost(distant, line, jobs, submit):
    job_id = submit().id
    line.lose_answer_to(b"EVALSHA")
    was_cancelled = distant.cancel(job_id)

    assert line.n_lost == 1
    assert was_cancelled
    assert not jobs.cancel(job_id)


def test_a_job_tried_again_has_a_slip_when_redis_answer_is_lost(distant, line, jobs, redis, submit):
    job_id = submit().id
    jobs.cancel(job_id)
    line.lose_answer_to(b"EVALSHA")
    again = distant.retry(job_id)

    assert line.n_lost == 1
    assert (again.status, again.attempt) == (Status.QUEUED, 2)
    assert f"{job_id}-2".encode() in redis.lrange("rq:queue:longhand", 0, -1)
