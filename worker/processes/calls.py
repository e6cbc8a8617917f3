"""Calls to the engine that wait, in a queue for each job, and the answers to them."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from shared.errors import LonghandError
from worker.decoding.decode import QueuePosition

POLL_S = 0.2


@dataclass(frozen=True)
class Call:
    """
    One piece of work for the engine.

    Attributes:
        method: The engine's method. It is given `args` and the item, or a list of the items of
            all calls in a batch if `is_batched`.
        alike: Calls share a batch if this, the method and the arguments are equal.
        label: Names the item in error messages.
        stall_s: How long this call may take without an answer; None for the batcher's own limit.
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
        """Equal for all calls of a batch."""
        return self.method, self.args, self.alike


@dataclass(eq=False)
class PendingCall:
    """
    A call that is not answered yet.

    Attributes:
        index: Comes back with the answer.
        is_first: Whether it goes before the calls of all jobs.
        n_deaths: How often the engine died while it worked on this call.
    """

    call: Call
    index: int
    queue: CallQueue
    is_first: bool = False
    n_deaths: int = 0


class CallQueue:
    """The calls of one job and the answers to them. For one thread."""

    def __init__(self, changed: threading.Condition, queues: deque[CallQueue]) -> None:
        self._changed = changed
        self._queues = queues
        self.waiting: deque[PendingCall] = deque()
        self.answers: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self.is_dropped = False

    def add(self, index: int, call: Call, position: QueuePosition = "last") -> None:
        """Ask for a call to be answered; `index` comes back with the answer."""
        with self._changed:
            pending = PendingCall(call, index, self, position == "first")
            if position == "last":
                self.waiting.append(pending)
            else:
                self.waiting.appendleft(pending)
            if self not in self._queues:
                self._queues.append(self)
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
        """Give up the calls that are not answered yet."""
        with self._changed:
            self.is_dropped = True
            self.waiting.clear()
