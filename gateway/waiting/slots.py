"""Slots for requests that hold a thread while they wait: streams, and waits for a change."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from werkzeug.http import parse_list_header

from gateway.errors import REDIS_AWAY
from shared.errors import JobCancelled, JobNotFound
from shared.jobs import Jobs
from shared.records import JobRecord

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 0.5
_GROWTH = 1.3

_log = logging.getLogger(__name__)


class Waiting:
    """
    The slots for requests that hold a thread while they wait.

    Requests that wait for a job's end need none; see `gateway/waiting/postponed.py`.

    Args:
        n_slots: Fewer than the server's threads, so that `/health` always finds a thread.

    Attributes:
        n_held: How many slots are taken.
    """

    def __init__(self, jobs: Jobs, *, n_slots: int) -> None:
        self._jobs = jobs
        self.n_slots = n_slots
        self.n_held = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End the wait of every request, and let none wait from now on."""
        self._stopped.set()

    @property
    def is_stopped(self) -> bool:
        """Whether no request may wait any more."""
        return self._stopped.is_set()

    def pause(self, seconds: float) -> bool:
        """Let some time pass. Returns whether no request may wait any more."""
        return self._stopped.wait(seconds)

    @contextmanager
    def hold(self) -> Iterator[bool]:
        """Hold a slot within the block. Yields whether there was a free one."""
        with self._lock:
            has_slot = self.n_held < self.n_slots
            self.n_held += has_slot
        try:
            yield has_slot
        finally:
            with self._lock:
                self.n_held -= has_slot

    def watch(
        self,
        record: JobRecord,
        seconds: float,
        has_disconnected: Callable[[], bool],
        *,
        is_enough: Callable[[JobRecord], bool] | None = None,
        stay: Callable[[], object] | None = None,
    ) -> JobRecord:
        """
        Wait for a job to end, on this thread.

        Args:
            seconds: The longest wait.
            is_enough: Whether the wait is over though the job has not ended.
            stay: Called before each look at the job; see `Reader.stay`.

        Returns:
            The job as it was last seen.

        Raises:
            JobCancelled: The job was deleted.
        """
        deadline = time.monotonic() + seconds
        pause_s = _FIRST_PAUSE_S
        while not record.status.is_final:
            if has_disconnected() or (is_enough and is_enough(record)):
                break
            left_s = deadline - time.monotonic()
            if left_s <= 0 or self._stopped.wait(min(pause_s, left_s)):
                break
            pause_s = min(pause_s * _GROWTH, _LONGEST_PAUSE_S)
            try:
                if stay:
                    stay()
                record = self._jobs.get(record.id)
            except REDIS_AWAY as error:
                # The job was accepted, so its caller gets the id and no error.
                _log.warning("job %s is not waited for, Redis is away: %s", record.id, error)
                break
            except JobNotFound as error:
                raise JobCancelled(
                    "the job was deleted before it ended", job_id=record.id
                ) from error
        return record


def preferred_wait_s(prefer: str | None) -> float | None:
    """
    The `wait` of a `Prefer` header (RFC 7240), in seconds; None if there is none to be read.

    >>> preferred_wait_s("respond-async, wait=10"), preferred_wait_s("wait=soon")
    (10.0, None)
    """
    for preference in parse_list_header(prefer or ""):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait" and value.strip().strip('"').isdecimal():
            return float(value.strip().strip('"'))
    return None
