"""Chunks of many jobs, one engine: who is served when."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from batches import Engine, Site, add_all, texts

from shared.errors import JobCancelled
from worker.decoding.decode import QueuePosition
from worker.processes.calls import Call


def test_a_lone_chunk_is_sent_at_once(open_batcher: Callable[..., Site]) -> None:
    site = open_batcher()
    found = site.submit(["a"])

    assert site.finish() == [["a"]]
    assert found == [(0, "text of a")]


def test_a_short_job_is_not_stuck_behind_a_long_one(open_batcher: Callable[..., Site]) -> None:
    site = open_batcher()
    site.hold()
    long = site.submit([f"long {i}" for i in range(100)])
    short = site.submit(["short"])
    batches = site.finish()

    assert "short" in batches[0]
    assert texts(short) == ["text of short"]
    assert texts(long) == [f"text of long {i}" for i in range(100)]


def test_jobs_take_turns_within_and_between_batches(open_batcher: Callable[..., Site]) -> None:
    site = open_batcher(batch_size=3)
    site.hold()
    for job in "abcd":
        site.submit([f"{job}{i}" for i in range(3)])
    batches = site.finish()

    assert batches == [
        ["a0", "b0", "c0"],
        ["d0", "a1", "b1"],
        ["c1", "d1", "a2"],
        ["b2", "c2", "d2"],
    ]


def test_a_batch_is_full_but_never_larger_than_asked(open_batcher: Callable[..., Site]) -> None:
    site = open_batcher()
    site.hold()
    site.submit([str(i) for i in range(10)])

    assert [len(batch) for batch in site.finish()] == [4, 4, 2]


def test_a_batch_holds_only_chunks_for_one_model(open_batcher: Callable[..., Site]) -> None:
    site = open_batcher()
    site.hold()
    site.submit(["a0", "a1"], model="demo")
    site.submit(["b0", "b1"], model="small")
    site.submit(["c0"], model="demo")
    batches = site.finish()

    assert sorted(map(sorted, batches)) == [["a0", "a1", "c0"], ["b0", "b1"]]


def test_a_batch_holds_only_chunks_with_equal_options(open_batcher: Callable[..., Site]) -> None:
    site = open_batcher()
    site.hold()
    site.submit(["a0", "a1"], alike="beam 5")
    site.submit(["b0", "b1"], alike="beam 1")
    site.submit(["c0"], alike="beam 5")

    assert sorted(map(sorted, site.finish())) == [["a0", "a1", "c0"], ["b0", "b1"]]


def test_batches_that_hold_chunks_of_several_jobs_are_counted(
    open_batcher: Callable[..., Site],
) -> None:
    site = open_batcher()
    site.hold()
    site.submit(["a0", "a1"])
    site.submit(["b0"])
    site.finish()
    counts = site.batcher.counts

    assert (counts.n_batches, counts.n_mixed, counts.n_chunks) == (2, 1, 4)


def test_what_is_added_later_is_answered_too(open_batcher: Callable[..., Site]) -> None:
    site = open_batcher()
    queue = site.batcher.open_queue()
    found = []
    for i, item in enumerate("abc"):
        queue.add(i, Call("transcribe", ("demo",), item, item))
        found.append(queue.next())
    queue.close()

    assert found == [(0, "text of a"), (1, "text of b"), (2, "text of c")]


def test_what_somebody_waits_to_read_goes_first_and_alone(
    open_batcher: Callable[..., Site],
) -> None:
    site = open_batcher()
    site.hold()
    found = site.submit(["a0", "a1"])
    queue = site.batcher.open_queue()
    positions: dict[str, QueuePosition] = {"b1": "last", "b2": "last", "b3": "next", "b0": "first"}
    with queue._changed:
        for item, position in positions.items():
            queue.add(0, Call("transcribe", ("demo",), item, item), position)
    batches = site.finish()
    said = [queue.next()[1] for _ in positions]
    queue.close()

    assert batches == [["b0"], ["a0", "b3", "a1", "b1"], ["b2"]]
    assert said == [f"text of {item}" for item in ("b0", "b3", "b1", "b2")]
    assert texts(found) == ["text of a0", "text of a1"]


def test_an_idle_engine_is_told_so(open_batcher: Callable[..., Site]) -> None:
    call = Call("unload_idle", (), None, "idle models", is_batched=False)
    site = Site(when_idle=(0.01, call))
    seen = threading.Event()

    def start() -> Engine:
        engine = site._start()

        def answer(method: str, *args: Any, stall_s: float) -> Any:
            assert (method, args) == ("unload_idle", (None,))
            seen.set()
            return [0], "status"

        engine.call = answer  # type: ignore[method-assign]
        return engine

    site.batcher._start_engine = start  # type: ignore[assignment]
    site.batcher.start()
    try:
        assert seen.wait(20)
    finally:
        site.batcher.stop()


def test_a_call_that_is_not_batched_goes_alone(open_batcher: Callable[..., Site]) -> None:
    site = open_batcher()
    load = Call("load", ("demo",), None, "model demo", is_batched=False)

    site.engines[0].call = lambda *args, stall_s: (["loaded"], args)  # type: ignore[method-assign]
    assert site.batcher.answer(load) == "loaded"
    assert site.batcher.status == ("load", "demo", None)


def test_a_dropped_jobs_chunks_are_never_sent(open_batcher: Callable[..., Site]) -> None:
    site = open_batcher(batch_size=1)
    site.hold()
    ticked = threading.Event()

    def cancel() -> None:
        ticked.set()
        raise JobCancelled("cancelled")

    queue = site.batcher.open_queue()
    add_all(queue, [f"c{i}" for i in range(10)])
    with pytest.raises(JobCancelled):
        queue.next(cancel)
    queue.close()
    site.submit(["other"])

    assert ticked.is_set()
    assert site.finish() == [["other"]]
