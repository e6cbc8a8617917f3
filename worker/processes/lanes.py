"""Calls to a child process, over a connection that carries one at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

POLL_S = 0.2


class ChildDied(Exception):
    """The process ended, or was killed, during a call."""


class Lane:
    """A connection to a child process, for one call at a time."""

    def __init__(self, connection: Connection, process: BaseProcess, name: str) -> None:
        self._connection, self._process, self.name = connection, process, name

    @property
    def pid(self) -> int | None:
        """The id of the process."""
        return self._process.pid

    def call(
        self,
        method: str,
        *args: object,
        stall_s: float,
        report: Callable[[Any], None] | None = None,
        check: Callable[[], None] = lambda: None,
        stop_s: float = 0.0,
    ) -> Any:
        """
        Call a method in the child.

        Args:
            stall_s: The child is killed if it sends no report and no answer for so many seconds.
            report: Takes what the method reports. If it is given, the method gets an argument
                `report`.
            check: Called a few times a second. What it, or `report`, raises ends the call.
            stop_s: A call that is given up ends at the method's next report. If that comes within
                so many seconds the child keeps running, with its models; else it is killed.

        Raises:
            TimeoutError: The child stalled and was killed.
            ChildDied: It ended during the call.
            LonghandError: What the method raised.
        """
        try:
            self._connection.send((method, args, report is not None))
        except (OSError, ValueError) as error:
            raise ChildDied(f"{self.name} is gone") from error
        return self._receive(report, stall_s, check, stop_s)

    def _receive(
        self,
        report: Callable[[Any], None] | None,
        stall_s: float,
        check: Callable[[], None],
        stop_s: float = 0.0,
    ) -> Any:
        try:
            kind, value = self._answer(report, stall_s, check)
        except (EOFError, ConnectionError) as error:
            self._process.join(5)
            status = self._process.exitcode
            self.kill()
            raise ChildDied(f"{self.name} ended with status {status}") from error
        except BaseException as error:
            # It may still be at work, and its answer would be taken for that of the next call.
            if isinstance(error, TimeoutError) or not self._stops(stop_s):
                self.kill()
            raise
        if kind == "error":
            raise value
        return value

    def _answer(
        self, report: Callable[[Any], None] | None, stall_s: float, check: Callable[[], None]
    ) -> tuple[str, Any]:
        heard = time.monotonic()
        while True:
            while not self._connection.poll(POLL_S):
                check()
                if time.monotonic() - heard > stall_s:
                    raise TimeoutError(f"{self.name} made no progress for {stall_s:.0f} s")
            heard = time.monotonic()
            kind, value = self._connection.recv()
            if kind != "report":
                return kind, value
            if report:
                report(value)

    def _stops(self, stop_s: float) -> bool:
        """Tell the running method to end; returns whether it does in time."""
        deadline = time.monotonic() + stop_s
        with suppress(OSError, EOFError, ValueError):
            if stop_s:
                self._connection.send(None)
            while (left_s := deadline - time.monotonic()) > 0 and self._connection.poll(left_s):
                if self._connection.recv()[0] != "report":
                    return True
        return False

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.join(5)
        self._connection.close()

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.is_alive()
