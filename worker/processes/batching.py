"""
Batches of chunks, from all jobs, for the one engine.

The job that waits longest comes first in the next batch, and jobs take turns within it: a
ten-second clip is not stuck behind a ten-hour file. A chunk never waits for a batch to be full. If
somebody reads the text of a job as it is made, its first chunk goes before all others, in a batch
of its own.

No job fails because of another job's chunk. When the engine process dies, or refuses a batch, the
chunks of the batch run again one by one. A chunk fails its job only if the engine refuses it when
it is alone, or dies a second time over it alone. A batch that does not fit into memory runs again
in halves.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from shared.errors import EngineFailed, GpuOutOfMemory, JobTimedOut, LonghandError
from worker.processes.calls import POLL_S, Call, CallQueue, PendingCall
from worker.processes.children import Child
from worker.processes.lanes import ChildDied

_RESTART_PAUSES_S = (0.5, 1.0, 2.0, 4.0)
"""Pauses between starts that fail; after the last of them the engine is given up."""

_MAX_DEATHS = 2

_log = logging.getLogger(__name__)


@dataclass
class BatchCounts:
    """What the engine has done so far; `n_mixed` batches held chunks of more than one job."""

    n_batches: int = 0
    n_mixed: int = 0
    n_chunks: int = 0
    n_halved: int = 0

    def add(self, batch: Sequence[PendingCall]) -> None:
        """Count a batch that the engine has answered."""
        self.n_batches += 1
        self.n_chunks += len(batch)
        self.n_mixed += len({id(pending.queue) for pending in batch}) > 1


class ChunkBatcher:
    """
    Gives one engine process the calls of many jobs, in batches.

    Args:
        start_engine: Starts the process; called again each time it has died.
        batch_size: Most calls in a batch.
        stall_s: The process is killed if it gives no answer for so many seconds.
        pauses_s: Between starts that fail; after the last the engine is lost.
        when_idle: Seconds and a call. The call is made each time there was nothing to do for so
            many seconds.
    """

    def __init__(
        self,
        start_engine: Callable[[], Child],
        *,
        batch_size: int,
        stall_s: float,
        pauses_s: Sequence[float] = _RESTART_PAUSES_S,
        when_idle: tuple[float, Call] | None = None,
    ) -> None:
        self._start_engine = start_engine
        self._batch_size = batch_size
        self._stall_s = stall_s
        self._pauses_s = pauses_s
        self._when_idle = when_idle
        self._changed = threading.Condition()
        self._queues: deque[CallQueue] = deque()
        self._again: deque[list[PendingCall]] = deque()  # batches to be run again as they are
        self._limits: dict[Hashable, int] = {}  # largest batch that fits into memory, by kind
        self._stopped = False
        self._ready = threading.Event()
        self._engine: Child | None = None
        self.is_lost = False
        """Whether the engine cannot be started: calls that wait will never be answered."""

        self.n_starts = 0
        self.status: Any = None
        """What the engine process said about itself after its last call."""

        self.counts = BatchCounts()

        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)

    def start(self, check: Callable[[], None] = lambda: None) -> None:
        """
        Start the engine process and the thread that feeds it; wait until it is ready.

        Args:
            check: Called a few times a second; what it raises ends the wait.

        Raises:
            EngineFailed: It cannot be started.
        """
        self._thread.start()
        while not self._ready.wait(POLL_S):
            check()
            self.check()

    def check(self) -> None:
        """Raise `EngineFailed` if the engine is lost."""
        if self.is_lost:
            raise EngineFailed("the engine process cannot be started; its log says why")

    def stop(self) -> None:
        """End the thread and the engine process."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._end_engine()
        if self._thread.is_alive():
            self._thread.join(10)

    @property
    def engine_pid(self) -> int | None:
        """The id of the engine process."""
        return self._engine.pid if self._engine else None

    def open_queue(self) -> CallQueue:
        """A queue for the calls of one job."""
        return CallQueue(self._changed, self._queues)

    def answer(self, call: Call, check: Callable[[], None] = lambda: None) -> Any:
        """Make one call and return its answer; see `CallQueue.next`."""
        queue = self.open_queue()
        try:
            queue.add(0, call)
            return queue.next(check)[1]
        finally:
            queue.close()

    def live_call(
        self, method: str, *args: Any, stall_s: float, check: Callable[[], None] = lambda: None
    ) -> Any:
        """
        Call a method for live sessions, without waiting for a batch: see `Child.live`.

        Args:
            check: Called a few times a second meanwhile.

        Raises:
            ChildDied, TimeoutError: The engine process is gone. It is replaced when a batch, or
                another call, is due.
            LonghandError: What the method raised.
        """
        engine = self._engine
        if engine is None:
            raise ChildDied("there is no engine process")
        return engine.live.call(method, *args, stall_s=stall_s, check=check)

    def _run(self) -> None:
        try:
            self._replace_engine()
            while not self.is_lost and (batch := self._next_batch()) is not None:
                self._answer(batch)
        except Exception:
            _log.exception("the batcher has failed: the engine gets no more work")
            self.is_lost = True

    def _next_batch(self) -> list[PendingCall] | None:
        """Wait for work; None when stopped."""
        with self._changed:
            while not self._stopped:
                while self._again:
                    wanted = [p for p in self._again.popleft() if not p.queue.is_dropped]
                    if wanted:
                        return wanted
                for queue in [q for q in self._queues if not q.waiting]:
                    self._queues.remove(queue)
                if self._queues:
                    return self._gather()
                idle_s, call = self._when_idle or (None, None)
                if not self._changed.wait(idle_s) and call:
                    return [PendingCall(call, 0, self.open_queue())]
            return None

    def _gather(self) -> list[PendingCall]:
        """
        Take calls from the queues in turn, all of the same kind as the first of the first queue.

        A call that is to go first goes alone.
        """
        for queue in self._queues:
            if queue.waiting[0].is_first:
                return [queue.waiting.popleft()]
        first = self._queues[0].waiting[0].call
        limit = self._limits.get(first.kind, self._batch_size) if first.is_batched else 1
        batch: list[PendingCall] = []
        took = True
        while took and len(batch) < limit:
            took = False
            for queue in list(self._queues):
                call = queue.waiting[0].call if queue.waiting else None
                if call and call.kind == first.kind and len(batch) < limit:
                    batch.append(queue.waiting.popleft())
                    took = True
                    # For the next batch, this job comes after the others.
                    self._queues.remove(queue)
                    self._queues.append(queue)
        return batch

    def _answer(self, batch: list[PendingCall]) -> None:
        call = batch[0].call
        items = [pending.call.item for pending in batch] if call.is_batched else call.item
        engine = self._engine
        assert engine is not None
        try:
            answers, self.status = engine.call(
                call.method, *call.args, items, stall_s=call.stall_s or self._stall_s
            )
            if len(answers) != len(batch):
                raise EngineFailed(f"the engine gave {len(answers)} answers to {len(batch)} chunks")
        except LonghandError as error:
            if len(batch) > 1:
                self._split(batch, error)
                return
            answers = [error]
        except Exception as error:  # the process has ended, or was killed because it stalled
            if not self._stopped:
                self._survive(batch, error)
            return
        if call.is_batched:
            self.counts.add(batch)
        for pending, answer in zip(batch, answers, strict=True):
            pending.queue.answers.put((pending.index, answer))

    def _split(self, batch: list[PendingCall], error: LonghandError) -> None:
        """Run a batch again: in halves if it did not fit, else one by one to find the bad chunk."""
        _log.warning("a batch of %d chunks is split: %s", len(batch), error)
        size = 1
        if isinstance(error, GpuOutOfMemory):
            size = len(batch) // 2
            self._limits[batch[0].call.kind] = size
            self.counts.n_halved += 1
        self._again.extend(batch[i : i + size] for i in range(0, len(batch), size))

    def _survive(self, batch: list[PendingCall], error: Exception) -> None:
        """Replace the dead engine; run its batch again one by one, or give up a deadly call."""
        _log.error("the engine was lost with %d chunks in it: %s", len(batch), error)
        for pending in batch:
            pending.n_deaths += 1
            if len(batch) > 1 or pending.n_deaths < _MAX_DEATHS:
                self._again.append([pending])
                continue
            kind = JobTimedOut if isinstance(error, TimeoutError) else EngineFailed
            message = f"the engine was lost twice over {pending.call.label} ({error})"
            pending.queue.answers.put((pending.index, kind(message)))
        self._replace_engine()

    def _replace_engine(self) -> None:
        """Start a new engine process; after some tries that fail the engine is lost."""
        for pause_s in (*self._pauses_s, 0.0):
            self._end_engine()
            if self._stopped:
                return
            try:
                self._engine = self._start_engine()
                self.n_starts += 1
                self._limits.clear()  # a new process may have more memory
                self._engine.wait_until_ready(self._check_stopped)
                self._ready.set()
                return
            except (ChildDied, OSError) as error:
                if not self._stopped:
                    _log.error("the engine process did not start: %s", error)
            with self._changed:
                self._changed.wait_for(lambda: self._stopped, pause_s)
        self._end_engine()
        self.is_lost = not self._stopped

    def _check_stopped(self) -> None:
        if self._stopped:
            raise ChildDied("the worker stops")

    def _end_engine(self) -> None:
        if self._engine is not None:
            with suppress(OSError):
                self._engine.kill()
