"""Some requests may hold a thread until their job ends; the rest are answered at once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from werkzeug.http import parse_list_header

from gateway.errors import REDIS_AWAY
from shared.errors import JobCancelled, JobNotFound
from shared.jobs import JobRecord, Jobs

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 0.5
_GROWTH = 1.3

_log = logging.getLogger(__name__)


class Waiting:
    """
    The slots for requests that wait.

    Args:
        n_slots: Fewer than the server's threads, so that `/health` always finds one.
    """

    def __init__(self, jobs: Jobs, *, n_slots: int) -> None:
        self._jobs = jobs
        self._slots = threading.BoundedSemaphore(n_slots)
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Answer every request that waits, and let none wait from now on."""
        self._stopped.set()

    def wait(
        self, record: JobRecord, seconds: float, *, is_gone: Callable[[], bool] | None = None
    ) -> tuple[JobRecord, bool]:
        """
        Wait for a job to end.

        Args:
            seconds: How long at most.
            is_gone: Whether the caller has hung up.

        Returns:
            The job as it was last seen, and whether there was a slot to wait in.
        """
        if seconds <= 0 or not self._slots.acquire(blocking=False):
            return record, False
        try:
            return self._watch(record, seconds, is_gone or (lambda: False)), True
        finally:
            self._slots.release()

    def _watch(self, record: JobRecord, seconds: float, is_gone: Callable[[], bool]) -> JobRecord:
        deadline = time.monotonic() + seconds
        pause_s = _FIRST_PAUSE_S
        while not record.status.is_final and not is_gone():
            left_s = deadline - time.monotonic()
            if left_s <= 0 or self._stopped.wait(min(pause_s, left_s)):
                break
            pause_s = min(pause_s * _GROWTH, _LONGEST_PAUSE_S)
            try:
                record = self._jobs.get(record.id)
            except REDIS_AWAY as error:
                # The job is accepted: its caller gets the id, not an error.
                _log.warning("job %s is not waited for, Redis is away: %s", record.id, error)
                break
            except JobNotFound as error:
                raise JobCancelled(
                    "the job was deleted before it ended", job_id=record.id
                ) from error
        return record


def preferred_wait_s(prefer: str | None) -> float | None:
    """
    The `wait` of a `Prefer` header (RFC 7240), or None; what is not understood is ignored.

    >>> preferred_wait_s("respond-async, wait=10"), preferred_wait_s("wait=soon")
    (10.0, None)
    """
    for preference in parse_list_header(prefer or ""):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait" and value.strip().strip('"').isdecimal():
            return float(value.strip().strip('"'))
    return None
