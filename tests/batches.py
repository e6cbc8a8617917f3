"""A batcher whose engines are in this process, note what they are given and can be held."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from waiting import wait_until

from shared.errors import EngineFailed, GpuOutOfMemory
from worker.processes.batching import ChunkBatcher
from worker.processes.calls import Call, CallQueue
from worker.processes.lanes import ChildDied

DEADLY, SLOW, BAD = "deadly", "slow", "bad"


class Engine:
    """An engine in this process that notes its batches and, if held, waits to be let go."""

    def __init__(self, site: Site, *, starts: bool = True) -> None:
        self._site = site
        self._starts = starts
        self.pid = id(self)
        self.live = None
        self.is_killed = False

    def wait_until_ready(self, check: Callable[[], None] = lambda: None) -> None:
        check()
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


def add_all(queue: CallQueue, items: list[str], model: str = "demo", alike: Any = None) -> None:
    """Add a job's chunks, all at once as far as the batcher can see."""
    with queue._changed:
        for i, item in enumerate(items):
            queue.add(i, Call("transcribe", (model,), item, f"chunk {item}", alike=alike))


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
        n_before = len(self.batcher._queues)

        def run() -> None:
            queue = self.batcher.open_queue()
            try:
                add_all(queue, items, model, alike)
                found.extend(queue.next() for _ in items)
            except Exception as error:
                found.append(error)
            finally:
                queue.close()

        self._jobs.append(threading.Thread(target=run))
        self._jobs[-1].start()
        if not self.may_answer.is_set():
            wait_until(lambda: len(self.batcher._queues) > n_before or found, 20, "it waits")
        return found

    def finish(self) -> list[Any]:
        """Let the engine answer all; the batches it was given since."""
        self.may_answer.set()
        for thread in self._jobs:
            thread.join(20)
            assert not thread.is_alive()
        return [self.batches.get_nowait()[-1] for _ in range(self.batches.qsize())]


@pytest.fixture
def open_batcher() -> Iterator[Callable[..., Site]]:
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
