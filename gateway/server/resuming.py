"""
The waitress side of `Postponed`: a request is put aside, and served again when its job has ended.

These parts of waitress are replaced:
- `WSGITask` and `HTTPChannel.service`: a request holds a thread until the application returns.
  Here the application may return without an answer. The request then keeps its place on its
  connection, so later requests wait for it, and its thread is free. When the job has ended, the
  connection enters waitress's queue again and the application is called with the same request.
- `ThreadedTaskDispatcher.shutdown`: it drops what is queued; ours first answers all who wait.
To be removed when waitress itself can answer a request later, without a thread.
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
    """Raised to leave `HTTPChannel.service` before it counts the request as answered."""

    def __init__(self, postponed: Postponed) -> None:
        super().__init__()
        self.postponed = postponed


class ResumableTask(WSGITask):  # type: ignore[misc]  # waitress has no types
    """Calls the application, whose answer may be postponed."""

    _postponed: Postponed | None = None

    def get_environment(self) -> dict[str, Any]:
        """The WSGI environment, with what `Postponed` needs."""
        environ: dict[str, Any] = super().get_environment()
        environ[POSTPONE] = self._postpone
        environ[POSTPONED] = getattr(self.request, "postponed", None)
        return environ

    def finish(self) -> None:
        """Finish the answer, unless it was postponed."""
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
        """Answer a request or put it aside; called on one of waitress's threads."""
        request = self.requests[0]
        if getattr(request, "postponed", None) is not None and not self.connected:
            self._answer_nobody(request)
        try:
            super().service()
        except _PutAside as aside:
            _drop_body(request)
            request.postponed = aside.postponed
            # Last: from here on another thread may serve the request.
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
        """Call the application for a caller who disconnected; waitress would skip the request."""
        task = self.task_class(self, request)
        try:
            with suppress(ClientDisconnected):
                task.service()
        except Exception:
            _log.exception("ending %s failed, whose caller has disconnected", request.path)


def _drop_body(request: Any) -> None:
    """Close the body, which was read and may lie on disk: the wait may take hours."""
    request.close()
    request.body_rcv = None


class Dispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]
    """waitress's threads, which answer every waiting request before they end."""

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
