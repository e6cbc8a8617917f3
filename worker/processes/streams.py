"""What a job has to be answered by the engine, and where the answers go."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from shared.errors import LonghandError
from worker.decoding.decode import Turn

POLL_S = 0.2


@dataclass(frozen=True)
class Call:
    """
    One piece of work for the engine.

    Attributes:
        method: What to call: with `args`, then the item; or, if it is batched, a list of items.
        alike: What must be equal, beside method and arguments, for calls to share a batch.
        label: What the piece is, for an error.
        stall_s: Patience with this call, where it is not the batcher's own.
    """

    method: str
    args: tuple[Any, ...]
    item: Any
    label: str
    alike: Hashable = None
    is_batched: bool = True
    stall_s: float | None = None

    @property
    def kind(self) -> Hashable:
        """What is equal in all calls of a batch."""
        return self.method, self.args, self.alike


@dataclass(eq=False)
class Piece:
    """A call on its way: whose it is, its turn, and how often the engine died over it."""

    call: Call
    index: int
    stream: Stream
    is_first: bool = False
    n_deaths: int = 0


class Stream:
    """The calls of one job and where their answers go. For one thread."""

    def __init__(self, changed: threading.Condition, streams: deque[Stream]) -> None:
        self._changed = changed
        self._streams = streams
        self.waiting: deque[Piece] = deque()
        self.answers: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self.is_dropped = False

    def add(self, index: int, call: Call, turn: Turn = "last") -> None:
        """Have a call answered; `index` comes back with the answer."""
        with self._changed:
            piece = Piece(call, index, self, turn == "first")
            if turn == "last":
                self.waiting.append(piece)
            else:
                self.waiting.appendleft(piece)
            if self not in self._streams:
                self._streams.append(self)
            self._changed.notify_all()

    def next(self, check: Callable[[], None] = lambda: None) -> tuple[int, Any]:
        """
        Wait for one of the answers, whichever comes first.

        Args:
            check: Called a few times a second; what it raises ends the wait.

        Raises:
            EngineFailed: A call killed the engine, or the engine refused it.
            GpuOutOfMemory: A call does not fit into the device's memory.
            JobTimedOut: A call kept the engine busy for too long.
        """
        while True:
            try:
                index, answer = self.answers.get(timeout=POLL_S)
                break
            except queue.Empty:
                check()
        if isinstance(answer, LonghandError):
            raise answer
        return index, answer

    def close(self) -> None:
        """Give up what is not answered."""
        with self._changed:
            self.is_dropped = True
            self.waiting.clear()
