"""Is the queue full? Redis is asked once a second, so that no request has to ask."""

from __future__ import annotations

import logging
import threading

from redis import RedisError

from shared.errors import Busy
from shared.jobs import Jobs

LOOK_AGAIN_S = 1.0
RETRY_S = 10

_log = logging.getLogger(__name__)


class Fullness(threading.Thread):
    """
    Keeps a flag: whether the queue is full.

    Args:
        most: How many jobs may wait.
    """

    def __init__(self, jobs: Jobs, *, most: int) -> None:
        super().__init__(name="fullness", daemon=True)
        self._jobs = jobs
        self._most = most
        self._stopped = threading.Event()
        self.is_full = False

    def run(self) -> None:
        """Look every second, until stopped."""
        while True:
            self.look()
            if self._stopped.wait(LOOK_AGAIN_S):
                return

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()

    def look(self) -> None:
        """Look now. While Redis is away the queue counts as not full."""
        try:
            is_full = self._jobs.figures.counts()["queued"] >= self._most
        except RedisError:
            is_full = False
        if is_full and not self.is_full:
            _log.warning("the queue is full: new jobs are refused (LONGHAND_MAX_QUEUED)")
        self.is_full = is_full

    def refusal(self) -> Busy | None:
        """The error for a request for a new job; None if the queue takes it."""
        if not self.is_full:
            return None
        return Busy(
            f"{self._most} jobs wait already (LONGHAND_MAX_QUEUED); try again later",
            retry_after_s=RETRY_S,
        )
