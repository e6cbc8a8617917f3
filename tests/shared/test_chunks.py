"""What is kept of a running job, and when it is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from shared.jobs import Jobs
from shared.jobs.chunks import KeptChunk, KeptChunks
from shared.records import StoredAudio, new_job_id
from shared.request import TranscriptionRequest
from shared.storage import open_storage
from shared.transcript import Segment, Transcript

AUDIO = StoredAudio(key="jobs/x/audio", filename="a", n_bytes=1, sha256="", duration_s=1)


def chunk(text: str, start: float) -> KeptChunk:
    segment = Segment(
        id=7, seek=0, start=start, end=start + 1, text=text, tokens=(1,), temperature=0,
        avg_logprob=-0.1, compression_ratio=1, no_speech_prob=0,
    )  # fmt: skip
    return KeptChunk(language="en", segments=(segment,))


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as redis:
        yield redis


@pytest.fixture
def jobs(redis: Redis, storage_dir: Path) -> Jobs:
    return Jobs(redis, open_storage(storage_dir), lease_s=30, max_attempts=3)


@pytest.fixture
def chunks(redis: Redis) -> KeptChunks:
    return KeptChunks(redis)


@pytest.fixture
def job_id(jobs: Jobs) -> str:
    """A job that its first worker has in hand."""
    job_id = new_job_id()
    jobs.submit(job_id, TranscriptionRequest(), AUDIO)
    assert jobs.runs.claim(job_id, 1, "a")
    return job_id


def test_chunks_are_read_back_with_their_plan_in_any_order_they_came(
    chunks: KeptChunks, job_id: str
) -> None:
    chunks.begin(job_id, 1, "the plan")
    chunks.keep(job_id, 1, 10, chunk(" third", 20))
    chunks.keep(job_id, 1, 0, chunk(" first", 0))
    chunks.keep(job_id, 1, 2, chunk(" second", 5))

    kept = chunks.read(job_id)
    assert kept is not None
    assert kept[0] == "the plan"
    assert sorted(kept[1]) == [0, 2, 10]
    segments = chunks.segments(job_id)
    assert [s.text for s in segments] == [" first", " second", " third"]
    assert [s.id for s in segments] == [0, 1, 2]


def test_a_new_plan_forgets_what_was_kept_by_the_old_one(chunks: KeptChunks, job_id: str) -> None:
    chunks.begin(job_id, 1, "old")
    chunks.keep(job_id, 1, 0, chunk(" old", 0))
    chunks.begin(job_id, 1, "new")

    assert chunks.read(job_id) == ("new", {})


def test_a_worker_that_lost_its_job_keeps_nothing(
    chunks: KeptChunks, jobs: Jobs, redis: Redis, job_id: str
) -> None:
    chunks.begin(job_id, 1, "plan")
    chunks.keep(job_id, 1, 0, chunk(" kept", 0))
    redis.zadd("longhand:leases", {job_id: 1})
    assert jobs.runs.reap() == [job_id]
    assert jobs.runs.claim(job_id, 2, "b")

    chunks.keep(job_id, 1, 1, chunk(" too late", 1))
    chunks.begin(job_id, 1, "too late")
    chunks.keep(job_id, 2, 2, chunk(" next", 2))

    kept = chunks.read(job_id)
    assert kept is not None
    assert (kept[0], sorted(kept[1])) == ("plan", [0, 2])


@pytest.mark.parametrize("end", ["finish", "fail", "cancel", "delete"])
def test_nothing_is_kept_of_a_job_that_ended(
    chunks: KeptChunks, jobs: Jobs, redis: Redis, job_id: str, end: str
) -> None:
    transcript = Transcript(
        text="", task="transcribe", language="en", language_probability=1, duration=1,
        duration_after_vad=0, segments=(), model="demo", model_revision="", engine="e",
    )  # fmt: skip
    ends = {
        "finish": lambda: jobs.runs.finish(job_id, 1, transcript),
        "fail": lambda: jobs.runs.fail(job_id, 1, {"code": "engine_failed", "message": "m"}),
        "cancel": lambda: jobs.cancel(job_id),
        "delete": lambda: jobs.delete(job_id),
    }
    chunks.begin(job_id, 1, "plan")
    ends[end]()
    chunks.keep(job_id, 1, 0, chunk(" late", 0))

    assert chunks.read(job_id) is None
    assert redis.keys("longhand:job:*:chunks") == []


def test_what_another_version_kept_is_done_again(
    chunks: KeptChunks, redis: Redis, job_id: str
) -> None:
    chunks.begin(job_id, 1, "plan")
    redis.hset(f"longhand:job:{job_id}:chunks", "0", '{"words": "of another kind"}')

    assert chunks.read(job_id) is None
    assert chunks.segments(job_id) == []


def test_a_reader_is_given_what_follows_up_to_the_first_that_is_not_done(
    chunks: KeptChunks, job_id: str
) -> None:
    chunks.begin(job_id, 1, "the plan")
    for index in (0, 1, 3):
        chunks.keep(job_id, 1, index, chunk(f" {index}", index))

    found = [chunks.following(job_id, n) for n in range(4)]
    assert [[c.segments[0].text for c in more] for more, _ in found] == [
        [" 0", " 1"],
        [" 1"],
        [],
        [" 3"],
    ]
    assert [index for _, index in found] == [2, 2, 2, 4]


def test_a_reader_jumps_to_the_chunk_that_follows_in_time(chunks: KeptChunks, job_id: str) -> None:
    chunks.begin(job_id, 1, "the plan")
    last = chunk(" 0", 0).model_copy(update={"next_index": 1_000_000})
    chunks.keep(job_id, 1, 0, last)
    chunks.keep(job_id, 1, 1_000_000, chunk(" 1", 1))

    more, index = chunks.following(job_id, 0)
    then, _ = chunks.following(job_id, index)

    assert [c.segments[0].text for c in (*more, *then)] == [" 0", " 1"]
