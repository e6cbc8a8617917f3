"""Chunks of many jobs, one engine: who is served when, and who pays for what."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from waiting import wait_until

from shared.errors import EngineFailed, GpuOutOfMemory, JobCancelled, JobTimedOut
from worker.batching import ChunkBatcher
from worker.children import ChildDied
from worker.streams import Call, Stream, Turn

DEADLY, SLOW, BAD = "deadly", "slow", "bad"


class Engine:
    """An engine in this process that notes its batches and, if held, waits to be let go."""

    def __init__(self, site: Site, *, starts: bool = True) -> None:
        self._site = site
        self._starts = starts
        self.pid = id(self)
        self.is_killed = False

    def wait_until_ready(self, tick: Callable[[], None] = lambda: None) -> None:
        tick()
        if not self._starts:
            raise ChildDied("it ended with status 1")

    def call(self, method: str, *args: Any, stall_s: float) -> Any:
        *given, items = args
        self._site.batches.put((method, *given, items))
        assert self._site.may_answer.wait(20)
        if DEADLY in items:
            raise ChildDied("it ended with status -9")
        if SLOW in items:
            raise TimeoutError(f"it made no progress for {stall_s:.0f} s")
        if BAD in items:
            raise EngineFailed("ValueError: bad chunk")
        if len(items) > self._site.n_fitting:
            raise GpuOutOfMemory(f"{len(items)} chunks do not fit")
        return [f"text of {item}" for item in items], "status"

    def kill(self) -> None:
        self.is_killed = True


def add_all(stream: Stream, items: list[str], model: str = "demo", alike: Any = None) -> None:
    """Add a job's chunks, all at once as far as the batcher can see."""
    with stream._changed:
        for i, item in enumerate(items):
            stream.add(i, Call("transcribe", (model,), item, f"chunk {item}", alike=alike))


class Site:
    """A batcher and what its engines were given."""

    def __init__(self, **options: Any) -> None:
        self.engines: list[Engine] = []
        self.batches: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.n_bad_starts = 0
        self.n_fitting = 100
        self.batcher = ChunkBatcher(
            self._start,  # type: ignore[arg-type]
            **{"batch_size": 4, "stall_s": 300.0, "pauses_s": (0.0, 0.0)} | options,
        )
        self._jobs: list[threading.Thread] = []

    def _start(self) -> Engine:
        self.n_bad_starts -= 1
        self.engines.append(Engine(self, starts=self.n_bad_starts < 0))
        return self.engines[-1]

    def hold(self) -> None:
        """Keep the engine busy with a batch, so that what is submitted next has to wait."""
        self.may_answer.clear()
        self.submit(["held"])
        assert self.batches.get(timeout=20)[-1] == ["held"]

    def submit(self, items: list[str], model: str = "demo", alike: Any = None) -> list[Any]:
        """Submit a job's chunks by a thread of its own; what comes back goes to the list."""
        found: list[Any] = []
        n_before = len(self.batcher._streams)

        def run() -> None:
            stream = self.batcher.open_stream()
            try:
                add_all(stream, items, model, alike)
                found.extend(stream.next() for _ in items)
            except Exception as error:
                found.append(error)
            finally:
                stream.close()

        self._jobs.append(threading.Thread(target=run))
        self._jobs[-1].start()
        if not self.may_answer.is_set():
            wait_until(lambda: len(self.batcher._streams) > n_before or found, 20, "it waits")
        return found

    def finish(self) -> list[Any]:
        """Let the engine answer all; the batches it was given since."""
        self.may_answer.set()
        for thread in self._jobs:
            thread.join(20)
            assert not thread.is_alive()
        return [self.batches.get_nowait()[-1] for _ in range(self.batches.qsize())]


@pytest.fixture
def open_site() -> Iterator[Callable[..., Site]]:
    sites: list[Site] = []

    def start(**options: Any) -> Site:
        sites.append(Site(**options))
        sites[-1].batcher.start()
        return sites[-1]

    yield start
    for site in sites:
        site.may_answer.set()
        site.batcher.stop()


def texts(found: list[Any]) -> list[str]:
    return [text for _, text in sorted(found)]


def test_a_lone_chunk_is_sent_at_once(open_site: Callable[..., Site]) -> None:
    site = open_site()
    found = site.submit(["a"])

    assert site.finish() == [["a"]]
    assert found == [(0, "text of a")]


def test_a_short_job_is_not_stuck_behind_a_long_one(open_site: Callable[..., Site]) -> None:
    site = open_site()
    site.hold()
    long = site.submit([f"long {i}" for i in range(100)])
    short = site.submit(["short"])
    batches = site.finish()

    assert "short" in batches[0]
    assert texts(short) == ["text of short"]
    assert texts(long) == [f"text of long {i}" for i in range(100)]


def test_jobs_take_turns_within_and_between_batches(open_site: Callable[..., Site]) -> None:
    site = open_site(batch_size=3)
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


def test_a_batch_is_full_but_never_larger_than_asked(open_site: Callable[..., Site]) -> None:
    site = open_site()
    site.hold()
    site.submit([str(i) for i in range(10)])

    assert [len(batch) for batch in site.finish()] == [4, 4, 2]


def test_a_batch_holds_only_chunks_for_one_model(open_site: Callable[..., Site]) -> None:
    site = open_site()
    site.hold()
    site.submit(["a0", "a1"], model="demo")
    site.submit(["b0", "b1"], model="small")
    site.submit(["c0"], model="demo")
    batches = site.finish()

    assert sorted(map(sorted, batches)) == [["a0", "a1", "c0"], ["b0", "b1"]]


def test_a_batch_holds_only_chunks_with_equal_options(open_site: Callable[..., Site]) -> None:
    site = open_site()
    site.hold()
    site.submit(["a0", "a1"], alike="beam 5")
    site.submit(["b0", "b1"], alike="beam 1")
    site.submit(["c0"], alike="beam 5")

    assert sorted(map(sorted, site.finish())) == [["a0", "a1", "c0"], ["b0", "b1"]]


def test_batches_that_hold_chunks_of_several_jobs_are_counted(
    open_site: Callable[..., Site],
) -> None:
    site = open_site()
    site.hold()
    site.submit(["a0", "a1"])
    site.submit(["b0"])
    site.finish()
    counts = site.batcher.counts

    assert (counts.n_batches, counts.n_mixed, counts.n_chunks) == (2, 1, 4)


def test_what_is_added_later_is_answered_too(open_site: Callable[..., Site]) -> None:
    site = open_site()
    stream = site.batcher.open_stream()
    found = []
    for i, item in enumerate("abc"):
        stream.add(i, Call("transcribe", ("demo",), item, item))
        found.append(stream.next())
    stream.close()

    assert found == [(0, "text of a"), (1, "text of b"), (2, "text of c")]


def test_what_somebody_waits_to_read_goes_first_and_alone(
    open_site: Callable[..., Site],
) -> None:
    site = open_site()
    site.hold()
    found = site.submit(["a0", "a1"])
    stream = site.batcher.open_stream()
    turns: dict[str, Turn] = {"b1": "last", "b2": "last", "b3": "next", "b0": "first"}
    with stream._changed:
        for item, turn in turns.items():
            stream.add(0, Call("transcribe", ("demo",), item, item), turn)
    batches = site.finish()
    said = [stream.next()[1] for _ in turns]
    stream.close()

    assert batches == [["b0"], ["a0", "b3", "a1", "b1"], ["b2"]]
    assert said == [f"text of {item}" for item in ("b0", "b3", "b1", "b2")]
    assert texts(found) == ["text of a0", "text of a1"]


def test_a_batch_too_large_for_memory_runs_in_halves_and_later_ones_are_smaller(
    open_site: Callable[..., Site],
) -> None:
    site = open_site(batch_size=8)
    site.n_fitting = 2
    site.hold()
    found = site.submit([str(i) for i in range(16)])
    batches = site.finish()

    assert texts(found) == [f"text of {i}" for i in range(16)]
    assert [len(batch) for batch in batches] == [8, 4, 4, 2, 2, 2, 2, 2, 2, 2, 2]
    assert site.batcher.n_starts == 1


def test_a_chunk_too_large_for_memory_fails_its_job_and_no_other(
    open_site: Callable[..., Site],
) -> None:
    site = open_site()
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


def test_an_idle_engine_is_told_so(open_site: Callable[..., Site]) -> None:
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


def test_a_call_that_is_not_batched_goes_alone(open_site: Callable[..., Site]) -> None:
    site = open_site()
    load = Call("load", ("demo",), None, "model demo", is_batched=False)

    site.engines[0].call = lambda *args, stall_s: (["loaded"], args)  # type: ignore[method-assign]
    assert site.batcher.answer(load) == "loaded"
    assert site.batcher.status == ("load", "demo", None)


def test_chunks_in_an_engine_that_dies_run_again_one_by_one(open_site: Callable[..., Site]) -> None:
    site = open_site()
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


def test_a_dead_engine_is_ended_and_another_started(open_site: Callable[..., Site]) -> None:
    site = open_site()
    site.submit([DEADLY])
    site.finish()
    later = site.submit(["later"])
    site.finish()

    assert texts(later) == ["text of later"]
    wait_until(lambda: site.batcher.n_starts == 3, 20, "a third engine")
    assert [engine.is_killed for engine in site.engines] == [True, True, False]
    assert site.batcher.engine_pid == site.engines[2].pid


def test_a_chunk_the_engine_stalls_over_twice_times_out(open_site: Callable[..., Site]) -> None:
    site = open_site()
    found = site.submit([SLOW])
    batches = site.finish()

    assert [type(error) for error in found] == [JobTimedOut]
    assert batches == [[SLOW], [SLOW]]


def test_a_refused_chunk_fails_its_own_job_alone(open_site: Callable[..., Site]) -> None:
    site = open_site()
    site.hold()
    innocent, guilty = site.submit(["a", "b"]), site.submit([BAD])
    site.finish()

    assert texts(innocent) == ["text of a", "text of b"]
    assert [str(error) for error in guilty] == ["ValueError: bad chunk"]
    assert site.batcher.n_starts == 1


def test_a_dropped_jobs_chunks_are_never_sent(open_site: Callable[..., Site]) -> None:
    site = open_site(batch_size=1)
    site.hold()
    ticked = threading.Event()

    def cancel() -> None:
        ticked.set()
        raise JobCancelled("cancelled")

    stream = site.batcher.open_stream()
    add_all(stream, [f"c{i}" for i in range(10)])
    with pytest.raises(JobCancelled):
        stream.next(cancel)
    stream.close()
    site.submit(["other"])

    assert ticked.is_set()
    assert site.finish() == [["other"]]


def test_a_batch_that_went_wrong_is_not_sent_again_for_a_job_that_was_dropped(
    open_site: Callable[..., Site],
) -> None:
    site = open_site()
    dropped = threading.Event()

    def check() -> None:
        if dropped.is_set():
            raise JobCancelled("cancelled")

    def run() -> None:
        stream = site.batcher.open_stream()
        add_all(stream, ["a", BAD, "b"])
        with pytest.raises(JobCancelled):
            stream.next(check)
        stream.close()

    site.may_answer.clear()
    job = threading.Thread(target=run)
    job.start()
    sent = site.batches.get(timeout=20)[-1]
    dropped.set()
    job.join(20)
    site.submit(["other"])

    assert sent == ["a", BAD, "b"]
    assert site.finish() == [["other"]]


def test_an_engine_that_answers_too_little_is_not_believed(open_site: Callable[..., Site]) -> None:
    site = open_site()
    site.engines[0].call = lambda *_, stall_s: ([], "status")  # type: ignore[method-assign]
    found = site.submit(["a"])
    site.finish()

    assert [str(error) for error in found] == ["the engine gave 0 answers to 1 chunks"]


def test_an_engine_that_starts_at_the_third_try_serves_what_waited(
    open_site: Callable[..., Site],
) -> None:
    site = open_site()
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

    def wait_until_ready(tick: Callable[[], None]) -> None:
        starting.set()
        assert stopped.wait(20)
        tick()

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
