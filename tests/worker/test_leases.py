"""What a worker tells Redis of the jobs in its hands, and what it hears back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from redis import Redis
from waiting import wait_until

from shared.errors import JobCancelled
from shared.jobs import Jobs
from shared.records import JobRecord, StoredAudio, new_job_id
from shared.request import TranscriptionRequest
from worker.jobs.leases import Lease, Leases


@pytest.fixture
def claimed(jobs: Jobs) -> JobRecord:
    """A job that this worker has claimed."""
    job_id = new_job_id()
    audio = StoredAudio(key="jobs/a", filename="a.wav", n_bytes=1, sha256="", duration_s=1)
    jobs.submit(job_id, TranscriptionRequest(), audio)
    record = jobs.runs.claim(job_id, 1, "worker-a")
    assert record is not None
    return record


@pytest.fixture
def start_leases(jobs: Jobs) -> Iterator[Callable[..., Leases]]:
    started: list[Leases] = []

    def start(beat: Callable[[], None] = lambda: None, **options: float) -> Leases:
        started.append(Leases(jobs.runs, beat, **options))
        started[-1].start()
        return started[-1]

    yield start
    for leases in started:
        leases.stop()


def test_progress_is_told(
    start_leases: Callable[..., Leases], jobs: Jobs, claimed: JobRecord
) -> None:
    leases = start_leases()
    with leases.hold(claimed.id, 1) as lease:
        lease.report("transcribe", 0.25, 7.5)
        wait_until(lambda: jobs.get(claimed.id).progress == 0.25, 10, "it is told")
        record = jobs.get(claimed.id)

        assert leases.n_held == 1
    assert (record.stage, record.audio_done_s) == ("transcribe", 7.5)
    assert leases.n_held == 0


def test_the_seconds_of_each_stage_are_added_up(
    start_leases: Callable[..., Leases], jobs: Jobs, claimed: JobRecord
) -> None:
    leases = start_leases()
    with leases.hold(claimed.id, 1) as lease:
        lease.report("decode", 0.0)
        lease.report("speech", 0.1)
        begun = time.monotonic()
        wait_until(lambda: jobs.get(claimed.id).stage == "speech", 10, "it is told")
        lease.report("transcribe", 0.2)
        listened_s = time.monotonic() - begun
        leases.tell_last(lease)
    stages_s = jobs.get(claimed.id).stages_s

    assert list(stages_s) == ["decode", "speech", "transcribe"]
    assert 0 <= stages_s["decode"] < 10
    assert 0 < stages_s["speech"] <= 0.001 + listened_s
    assert 0 <= stages_s["transcribe"] < 10


def test_nothing_older_is_told_after_the_last_word_on_a_job() -> None:
    lease = Lease("a" * 32, 1)
    lease.report("transcribe", 0.5)
    last = lease.last_news()

    assert lease.take_news(lease.renewed, 5) is None
    assert lease.take_news(lease.renewed + 10, 5) == last


def test_the_lease_of_a_job_without_news_is_renewed(
    start_leases: Callable[..., Leases], redis: Redis, claimed: JobRecord
) -> None:
    def lease_until() -> float:
        until = redis.zscore("longhand:leases", claimed.id)
        assert isinstance(until, float)
        return until

    leases = start_leases(renew_s=1.0)
    before = lease_until()

    with leases.hold(claimed.id, 1):
        wait_until(lambda: lease_until() > before, 10, "it is renewed")


@pytest.mark.parametrize("lost_by", ["cancel", "delete"])
def test_a_job_that_is_not_ours_any_more_is_noticed(
    start_leases: Callable[..., Leases], jobs: Jobs, claimed: JobRecord, lost_by: str
) -> None:
    with start_leases(renew_s=1.0).hold(claimed.id, 1) as lease:
        lease.check()
        getattr(jobs, lost_by)(claimed.id)

        def is_lost() -> bool:
            try:
                lease.report("transcribe", 0.5)
            except JobCancelled:
                return True
            return False

        wait_until(is_lost, 10, "the attempt is lost")
        with pytest.raises(JobCancelled):
            lease.check()


def test_the_beat_comes_at_once_and_its_errors_end_nothing(
    start_leases: Callable[..., Leases], jobs: Jobs, claimed: JobRecord
) -> None:
    beaten = threading.Event()

    def beat() -> None:
        beaten.set()
        raise RuntimeError("no such thing")

    leases = start_leases(beat)

    assert beaten.wait(10)
    with leases.hold(claimed.id, 1) as lease:
        lease.report("speech", 0.1)
        wait_until(lambda: jobs.get(claimed.id).stage == "speech", 10, "it goes on")
