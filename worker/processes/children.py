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
from typing import Any

from shared.errors import EngineFailed, LonghandError
from worker.processes.lanes import POLL_S, ChildDied, Lane

_START_S = 120.0

_log = logging.getLogger(__name__)


class _Stopped(BaseException):
    """
    In the child: the parent no longer wants the current call.

    A `BaseException`, so that no library catches it as an error of its own.
    """


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
                child = self._idle.get(timeout=POLL_S)
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
