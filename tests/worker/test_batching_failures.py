"""What goes wrong with a batch, and who pays for it: chunks, jobs, or the engine."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from batches import BAD, DEADLY, SLOW, Engine, Site, add_all, texts
from waiting import wait_until

from shared.errors import EngineFailed, GpuOutOfMemory, JobCancelled, JobTimedOut
from worker.processes.batching import ChunkBatcher


def test_a_batch_too_large_for_memory_runs_in_halves_and_later_ones_are_smaller(
    open_batcher: Callable[..., Site],
) -> None:
    site = open_batcher(batch_size=8)
    site.n_fitting = 2
    site.hold()
    found = site.submit([str(i) for i in range(16)])
    batches = site.finish()

    assert texts(found) == [f"text of {i}" for i in range(16)]
    assert [len(batch) for batch in batches] == [8, 4, 4, 2, 2, 2, 2, 2, 2, 2, 2]
    assert site.batcher.n_starts == 1


def test_a_chunk_too_large_for_memory_fails_its_job_and_no_other(
    open_batcher: Callable[..., Site],
) -> None:
    site = open_batcher()
    site.n_fitting = 0
    site.may_answer.clear()
    large = site.submit(["large"])
    site.finish()
    site.n_fitting = 1
    other = site.submit(["other"])
    site.finish()

    assert [type(error) for error in large] == [GpuOutOfMemory]
    assert texts(other) == ["text of other"]
    assert site.batcher.n_starts == 1


def test_chunks_in_an_engine_that_dies_run_again_one_by_one(
    open_batcher: Callable[..., Site],
) -> None:
    site = open_batcher()
    site.hold()
    innocent, guilty = site.submit(["a", "b", "c"]), site.submit([DEADLY])
    batches = site.finish()

    assert batches[0] == ["a", DEADLY, "b", "c"]
    assert sorted(batches[1:]) == [["a"], ["b"], ["c"], [DEADLY]]
    assert texts(innocent) == ["text of a", "text of b", "text of c"]
    assert [str(e) for e in guilty] == [
        "the engine was lost twice over chunk deadly (it ended with status -9)"
    ]
    assert isinstance(guilty[0], EngineFailed)


def test_a_dead_engine_is_ended_and_another_started(open_batcher: Callable[..., Site]) -> None:
    site = open_batcher()
    site.submit([DEADLY])
    site.finish()
    later = site.submit(["later"])
    site.finish()

    assert texts(later) == ["text of later"]
    wait_until(lambda: site.batcher.n_starts == 3, 20, "a third engine")
    assert [engine.is_killed for engine in site.engines] == [True, True, False]
    assert site.batcher.engine_pid == site.engines[2].pid


def test_a_chunk_the_engine_stalls_over_twice_times_out(open_batcher: Callable[..., Site]) -> None:
    site = open_batcher()
    found = site.submit([SLOW])
    batches = site.finish()

    assert [type(error) for error in found] == [JobTimedOut]
    assert batches == [[SLOW], [SLOW]]


def test_a_refused_chunk_fails_its_own_job_alone(open_batcher: Callable[..., Site]) -> None:
    site = open_batcher()
    site.hold()
    innocent, guilty = site.submit(["a", "b"]), site.submit([BAD])
    site.finish()

    assert texts(innocent) == ["text of a", "text of b"]
    assert [str(error) for error in guilty] == ["ValueError: bad chunk"]
    assert site.batcher.n_starts == 1


def test_a_batch_that_went_wrong_is_not_sent_again_for_a_job_that_was_dropped(
    open_batcher: Callable[..., Site],
) -> None:
    site = open_batcher()
    dropped = threading.Event()

    def check() -> None:
        if dropped.is_set():
            raise JobCancelled("cancelled")

    def run() -> None:
        queue = site.batcher.open_queue()
        add_all(queue, ["a", BAD, "b"])
        with pytest.raises(JobCancelled):
            queue.next(check)
        queue.close()

    site.may_answer.clear()
    job = threading.Thread(target=run)
    job.start()
    sent = site.batches.get(timeout=20)[-1]
    dropped.set()
    job.join(20)
    site.submit(["other"])

    assert sent == ["a", BAD, "b"]
    assert site.finish() == [["other"]]


def test_an_engine_that_answers_too_little_is_not_believed(
    open_batcher: Callable[..., Site],
) -> None:
    site = open_batcher()
    site.engines[0].call = lambda *_, stall_s: ([], "status")  # type: ignore[method-assign]
    found = site.submit(["a"])
    site.finish()

    assert [str(error) for error in found] == ["the engine gave 0 answers to 1 chunks"]


def test_an_engine_that_starts_at_the_third_try_serves_what_waited(
    open_batcher: Callable[..., Site],
) -> None:
    site = open_batcher()
    site.n_bad_starts = 2
    found = site.submit([DEADLY, "a"])
    site.finish()

    assert site.batcher.n_starts >= 4
    assert any(isinstance(item, EngineFailed) for item in found)
    assert not site.batcher.is_lost


def test_an_engine_that_never_starts_is_given_up_and_says_so() -> None:
    site = Site()
    site.n_bad_starts = 100

    with pytest.raises(EngineFailed, match="cannot be started"):
        site.batcher.start()
    assert site.batcher.n_starts == 3
    assert all(engine.is_killed for engine in site.engines)


def test_stopping_ends_an_engine_that_is_still_starting() -> None:
    site = Site()
    starting, stopped = threading.Event(), threading.Event()

    def wait_until_ready(check: Callable[[], None]) -> None:
        starting.set()
        assert stopped.wait(20)
        check()

    engine = Engine(site)
    engine.wait_until_ready = wait_until_ready  # type: ignore[method-assign]
    batcher = ChunkBatcher(lambda: engine, batch_size=1, stall_s=1)  # type: ignore[arg-type, return-value]

    def give_up() -> None:
        if starting.is_set():
            raise JobCancelled("told to stop")

    with pytest.raises(JobCancelled):
        batcher.start(give_up)
    threading.Timer(0, stopped.set).start()
    batcher.stop()

    assert engine.is_killed
    assert batcher.n_starts == 1
