"""
The waitress side of `Postponed`: a request is put aside, and served again when its job has ended.

waitress answers a request when the application returns, on a thread that is taken until then.
Here the application may say that it has no answer yet. Then the request keeps its place on its
connection, so that nothing overtakes it, and its thread is free; later the connection is put
into waitress's queue once more, and the application is called with the same request.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import Any

from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.task import ThreadedTaskDispatcher, WSGITask

from gateway.waiting.postponed import POSTPONE, POSTPONED, Postponed
from gateway.waiting.watcher import Watched, Watcher

_DRAIN_S = 5.0
_DRAIN_PAUSE_S = 0.02

_log = logging.getLogger(__name__)


class _PutAside(BaseException):
    """Leaves waitress's `service` as it stands, which would take the request for answered."""

    def __init__(self, postponed: Postponed) -> None:
        super().__init__()
        self.postponed = postponed


class ResumableTask(WSGITask):  # type: ignore[misc]  # waitress has no types
    """Calls the application; its answer may be postponed."""

    _postponed: Postponed | None = None

    def get_environment(self) -> dict[str, Any]:
        """The WSGI environment, with what a postponed answer needs."""
        environ: dict[str, Any] = super().get_environment()
        environ[POSTPONE] = self._postpone
        environ[POSTPONED] = getattr(self.request, "postponed", None)
        return environ

    def finish(self) -> None:
        """Write the end of the answer, if there is one."""
        if self._postponed is not None:
            raise _PutAside(self._postponed)
        super().finish()

    def _postpone(self, postponed: Postponed) -> None:
        self._postponed = postponed


class ResumableChannel(HTTPChannel):  # type: ignore[misc]
    """A connection whose requests can be put aside."""

    task_class = ResumableTask
    watcher: Watcher

    def service(self) -> None:
        """Answer a request, or put it aside, on a thread of its own."""
        request = self.requests[0]
        if getattr(request, "postponed", None) is not None and not self.connected:
            self._answer_nobody(request)
        try:
            super().service()
        except _PutAside as aside:
            _let_go_of_body(request)
            request.postponed = aside.postponed
            # The last that this thread does: another may serve the request from here on.
            self.watcher.watch(self._watched(aside.postponed))

    def _watched(self, postponed: Postponed) -> Watched:
        return Watched(
            postponed.job_id,
            resume=lambda: self.server.add_task(self),
            has_disconnected=lambda: not self.connected,
            stay=postponed.reader.stay,
            until=time.monotonic() + postponed.seconds,
        )

    def _answer_nobody(self, request: Any) -> None:
        """Let the application know that the caller has hung up; waitress would not ask it."""
        task = self.task_class(self, request)
        try:
            with suppress(ClientDisconnected):
                task.service()
        except Exception:
            _log.exception("the end of %s failed, whose caller has gone", request.path)


def _let_go_of_body(request: Any) -> None:
    """Close what was read already, and may lie on disk: the wait may be hours."""
    request.close()
    request.body_rcv = None


class Dispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]
    """Waitress's threads, which answer all that waits before they end."""

    def __init__(self, watcher: Watcher, n_threads: int) -> None:
        super().__init__()
        self._watcher = watcher
        self.set_thread_count(n_threads)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """End the threads, within `timeout` seconds, once the queue is empty."""
        self._watcher.stop()
        until = time.monotonic() + _DRAIN_S
        while self.queue and time.monotonic() < until:
            time.sleep(_DRAIN_PAUSE_S)
        return bool(super().shutdown(cancel_pending, timeout))
