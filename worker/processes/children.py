"""
The child processes of a worker: each serves the methods of one object.

A child runs one call at a time and reports its progress. So the parent knows whether a child is
slow or stuck. If a child dies, the other children go on. A child ends by itself when its parent
ends.
"""

from __future__ import annotations

import functools
import logging
import multiprocessing
import os
import queue
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from shared.errors import EngineFailed, LonghandError

_POLL_S = 0.2
_START_S = 120.0

_log = logging.getLogger(__name__)


class ChildDied(Exception):
    """The process ended, or was killed, during a call."""


class _Stopped(BaseException):
    """
    In the child: the parent no longer wants the current call.

    A `BaseException`, so that no library catches it as an error of its own.
    """


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
            while not self._connection.poll(_POLL_S):
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


class Child(Lane):
    """
    A process that serves the methods of one object.

    Args:
        factory: Makes the object, in the child. It has to be importable by name.
        name: Appears in logs and messages.

    Attributes:
        live: A second lane, to the object's attribute `live` if it has one. A call there does not
            wait for a call of the first.
    """

    def __init__(self, factory: Callable[[], object], name: str) -> None:
        context = multiprocessing.get_context("spawn")
        connection, theirs = context.Pipe()
        live, their_live = context.Pipe()
        process = context.Process(
            target=_serve, args=(factory, theirs, their_live, os.getpid()), name=name, daemon=True
        )
        process.start()
        theirs.close()
        their_live.close()
        super().__init__(connection, process, name)
        self.live = Lane(live, process, f"{name} (live)")

    def wait_until_ready(self, check: Callable[[], None] = lambda: None) -> None:
        """
        Wait until the child has made its object.

        Args:
            check: Called a few times a second. What it raises ends the wait and the child.

        Raises:
            ChildDied: The object could not be made.
        """
        self._receive(None, _START_S, check)


def _serve(
    factory: Callable[[], object], connection: Connection, live: Connection, parent_pid: int
) -> None:
    # Ctrl-C goes to the whole process group, but the parent decides when its children end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent_pid,), daemon=True).start()
    with suppress(EOFError, ConnectionError):
        try:
            service = factory()
        except LonghandError as error:  # the operator can fix it, and needs no traceback
            _log.error("the process cannot start: %s", error)
            raise SystemExit(1) from None
        if hasattr(service, "live"):
            threading.Thread(target=_answer, args=(live, service.live), daemon=True).start()
        connection.send(("ready", None))
        _answer(connection, service)


def _answer(connection: Connection, service: object) -> None:
    """Answer calls until the parent is gone."""
    with suppress(EOFError, ConnectionError):
        while True:
            call = connection.recv()
            if call is None:  # a request to stop a call that has already ended
                continue
            method, args, wants_reports = call
            options = {"report": functools.partial(_report, connection)} if wants_reports else {}
            try:
                value = getattr(service, method)(*args, **options)
            except _Stopped:
                connection.send(("stopped", None))
            except LonghandError as error:
                connection.send(("error", error))
            except Exception as error:
                _log.error("%s failed:\n%s", method, traceback.format_exc())
                connection.send(("error", EngineFailed(f"{type(error).__name__}: {error}")))
            else:
                connection.send(("ok", value))


def _report(connection: Connection, value: object) -> None:
    """Send a report to the parent; end the method if the parent has asked for that."""
    connection.send(("report", value))
    if connection.poll():  # during a call the parent sends nothing else
        connection.recv()
        raise _Stopped


def _end_with(parent_pid: int) -> None:
    """End this process when its parent has ended, even during a computation."""
    while os.getppid() == parent_pid:
        time.sleep(0.5)
    os._exit(1)


class ChildPool:
    """Children of one kind. Each is lent to one thread at a time; a dead one is replaced."""

    def __init__(self, factory: Callable[[], object], name: str, size: int) -> None:
        self._factory = factory
        self._name = name
        self._children: set[Child | None] = set()
        self._idle: queue.LifoQueue[Child | None] = queue.LifoQueue()
        for _ in range(size):
            self._idle.put(None)  # started when first needed

    @contextmanager
    def lend(self, check: Callable[[], None] = lambda: None) -> Iterator[Child]:
        """Lend a child for the block. Waits while all are lent, and calls `check` meanwhile."""
        while True:
            try:
                child = self._idle.get(timeout=_POLL_S)
                break
            except queue.Empty:
                check()
        try:
            if child is None or not child.is_alive:
                self._children = self._children - {child}
                child = Child(self._factory, self._name)
                # A new set: another thread may be reading the old one.
                self._children = {*self._children, child}
                child.wait_until_ready(check)
            yield child
        finally:
            self._idle.put(child)

    def call(
        self,
        method: str,
        *args: object,
        check: Callable[[], None],
        stall_s: float,
        report: Callable[[Any], None] | None = None,
        stop_s: float = 0.0,
    ) -> Any:
        """Call a method in a child, as `Child.call`. If the child dies, a new one is asked once."""
        options: dict[str, Any] = {"stall_s": stall_s, "report": report, "stop_s": stop_s}
        try:
            with self.lend(check) as child:
                return child.call(method, *args, check=check, **options)
        except ChildDied as error:
            _log.warning("%s is tried again: %s", method, error)
        with self.lend(check) as child:
            return child.call(method, *args, check=check, **options)

    def pids(self) -> tuple[int, ...]:
        """The ids of the processes that run now."""
        return tuple(c.pid for c in self._children if c and c.pid and c.is_alive)

    def stop(self) -> None:
        """Kill every child that is not lent; a lent one ends with this process."""
        with suppress(queue.Empty):
            while True:
                child = self._idle.get_nowait()
                if child is not None:
                    child.kill()
