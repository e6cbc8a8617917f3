"""
Chunks of all jobs in batches for the one engine.

Whoever waits longest leads the next batch, and jobs take turns within it, so
that a ten-second clip is not stuck behind a ten-hour file; a chunk that is
alone never waits for company. When the engine process dies, or refuses a
batch, no job pays for another's chunk: what was in it runs again one by one,
and only a chunk that was alone at a second death, or when it was refused,
fails its job.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from shared.errors import EngineFailed, JobTimedOut, LonghandError
from worker.children import Child, ChildDied

_POLL_S = 0.2
_RESTART_PAUSES_S = (0.5, 1.0, 2.0, 4.0)
"""After so many starts that fail in a row the engine is given up."""

_MAX_DEATHS = 2

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Call:
    """
    One piece of work for the engine.

    Attributes:
        method: What to call: with `batch`, together with others of equal `method` and `alike`.
        alike: What must be equal within a batch: the model.
        item: What is handed over; a batch hands over a list of them.
        label: What the piece is, for an error.
        stall_s: Patience with this call, where it is not the batcher's own.
    """

    method: str
    alike: tuple[Any, ...]
    item: Any
    label: str
    is_batched: bool = True
    stall_s: float | None = None


@dataclass(eq=False)
class _Piece:
    call: Call
    index: int
    stream: Stream
    n_deaths: int = 0


@dataclass(eq=False)
class Stream:
    """The pieces of one job and where their answers go."""

    waiting: deque[_Piece] = field(default_factory=deque)
    answers: queue.SimpleQueue[tuple[int, Any]] = field(default_factory=queue.SimpleQueue)
    is_dropped: bool = False


class ChunkBatcher:
    """
    Feeds one engine process from many jobs.

    Args:
        start_engine: Starts the process; called again whenever it has died.
        batch_size: Most pieces in a batch.
        stall_s: Without an answer for so long, the process is killed.
        pauses_s: Between starts that fail; after the last the engine is lost.
    """

    def __init__(
        self,
        start_engine: Callable[[], Child],
        *,
        batch_size: int,
        stall_s: float,
        pauses_s: Sequence[float] = _RESTART_PAUSES_S,
    ) -> None:
        self._start_engine = start_engine
        self._batch_size = batch_size
        self._stall_s = stall_s
        self._pauses_s = pauses_s
        self._changed = threading.Condition()
        self._streams: deque[Stream] = deque()
        self._suspects: deque[_Piece] = deque()
        self._stopped = False
        self._ready = threading.Event()
        self._engine: Child | None = None
        self.is_lost = False
        """Whether the engine cannot be started: what waits will never be answered."""

        self.n_starts = 0
        self.status: Any = None
        """What the engine said of itself after its last call."""

        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)

    def start(self, tick: Callable[[], None] = lambda: None) -> None:
        """
        Start the engine process and the thread that feeds it; wait until it is ready.

        Args:
            tick: Called a few times a second; what it raises ends the wait.

        Raises:
            EngineFailed: It cannot be started.
        """
        self._thread.start()
        while not self._ready.wait(_POLL_S):
            tick()
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
        """Process that owns the models now."""
        return self._engine.pid if self._engine else None

    def submit(
        self, calls: Sequence[Call], tick: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[int, Any]]:
        """
        Have calls answered; yields `(index, answer)` as they come.

        Args:
            tick: Called a few times a second while waiting; what it raises drops what is left.

        Raises:
            EngineFailed: A call killed the engine, or the engine refused it.
            JobTimedOut: A call kept the engine busy for too long.
        """
        stream = Stream()
        stream.waiting.extend(_Piece(call, i, stream) for i, call in enumerate(calls))
        with self._changed:
            self._streams.append(stream)
            self._changed.notify_all()
        try:
            for _ in calls:
                index, answer = _next_answer(stream, tick)
                if isinstance(answer, LonghandError):
                    raise answer
                yield index, answer
        finally:
            with self._changed:
                stream.is_dropped = True
                stream.waiting.clear()

    def _run(self) -> None:
        try:
            self._replace_engine()
            while not self.is_lost and (batch := self._next_batch()) is not None:
                self._answer(batch)
        except Exception:
            _log.exception("the engine is fed no more")
            self.is_lost = True

    def _next_batch(self) -> list[_Piece] | None:
        """Wait for work; None when stopped."""
        with self._changed:
            while not self._stopped:
                while self._suspects:
                    suspect = self._suspects.popleft()
                    if not suspect.stream.is_dropped:
                        return [suspect]
                self._streams = deque(s for s in self._streams if s.waiting)
                if self._streams:
                    return self._gather()
                self._changed.wait()
            return None

    def _gather(self) -> list[_Piece]:
        """Take pieces from the streams in turn, all alike to the first of the first stream."""
        first = self._streams[0].waiting[0].call
        limit = self._batch_size if first.is_batched else 1
        batch: list[_Piece] = []
        took = True
        while took and len(batch) < limit:
            took = False
            for stream in list(self._streams):
                call = stream.waiting[0].call if stream.waiting else None
                alike = call and (call.method, call.alike) == (first.method, first.alike)
                if alike and len(batch) < limit:
                    batch.append(stream.waiting.popleft())
                    took = True
                    # Whoever was served stands at the back for the next batch.
                    self._streams.remove(stream)
                    self._streams.append(stream)
        return batch

    def _answer(self, batch: list[_Piece]) -> None:
        call = batch[0].call
        items = [piece.call.item for piece in batch] if call.is_batched else call.item
        engine = self._engine
        assert engine is not None
        try:
            answers, self.status = engine.call(
                call.method, *call.alike, items, stall_s=call.stall_s or self._stall_s
            )
            if len(answers) != len(batch):
                raise EngineFailed(f"the engine gave {len(answers)} answers to {len(batch)} chunks")
        except LonghandError as error:
            if len(batch) > 1:
                _log.warning("%d chunks run again one by one: %s", len(batch), error)
                self._suspects.extend(batch)
                return
            answers = [error]
        except Exception as error:  # the process is gone, or was killed since it stalled
            if not self._stopped:
                self._survive(batch, error)
            return
        for piece, answer in zip(batch, answers, strict=True):
            piece.stream.answers.put((piece.index, answer))

    def _survive(self, batch: list[_Piece], error: Exception) -> None:
        """Replace the engine; run what was in it again, or give a deadly piece up."""
        _log.error("the engine was lost with %d chunks in it: %s", len(batch), error)
        for piece in batch:
            piece.n_deaths += 1
            if len(batch) > 1 or piece.n_deaths < _MAX_DEATHS:
                self._suspects.append(piece)
                continue
            kind = JobTimedOut if isinstance(error, TimeoutError) else EngineFailed
            message = f"the engine was lost twice over {piece.call.label} ({error})"
            piece.stream.answers.put((piece.index, kind(message)))
        self._replace_engine()

    def _replace_engine(self) -> None:
        """Start an engine process in place of the one there was; after some tries it is lost."""
        for pause_s in (*self._pauses_s, 0.0):
            self._end_engine()
            if self._stopped:
                return
            try:
                self._engine = self._start_engine()
                self.n_starts += 1
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


def _next_answer(stream: Stream, tick: Callable[[], None]) -> tuple[int, Any]:
    while True:
        try:
            return stream.answers.get(timeout=_POLL_S)
        except queue.Empty:
            tick()
