"""The thread, in the gateway and every worker, that gives the jobs of dead workers to others."""

from __future__ import annotations

import logging
import threading
import time

from redis import Redis
from redis.exceptions import RedisError

from shared.jobs import Jobs
from shared.keys import REAPER

EVERY_S = 2.0
GRACE_S = 12.0
"""
After Redis was away, or this host stood still, workers have so many seconds to renew their leases
before a job is taken from them.
"""

LOST_SLIP_S = 10.0
_UNSETTLED_S = 4.0
"""A worker takes no longer to settle a run, unless hundreds of jobs share it."""

_LATE_S = 5.0
"""A turn that comes so late means that the host stood still."""

_log = logging.getLogger(__name__)


class Reaper(threading.Thread):
    """
    Looks for expired leases and lost slips every two seconds. One reaper of a site works at a time.

    Args:
        redis: A client with a short timeout. While Redis is away this thread waits.
    """

    def __init__(self, redis: Redis, jobs: Jobs, *, grace_s: float = GRACE_S) -> None:
        super().__init__(name="reaper", daemon=True)
        self._redis = redis
        self._jobs = jobs
        self._grace_s = grace_s
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End the thread at its next turn."""
        self._stopped.set()

    def run(self) -> None:
        """Reap until stopped."""
        patient_until = 0.0
        due = time.monotonic() + EVERY_S
        while not self._stopped.wait(EVERY_S):
            try:
                started_s = int(self._redis.info("server")["uptime_in_seconds"])
                now = time.monotonic()
                if now > due + _LATE_S:
                    patient_until = now + self._grace_s
                due = now + EVERY_S
                if started_s < self._grace_s or now < patient_until:
                    continue
                if self._redis.set(REAPER, 1, nx=True, px=int(EVERY_S * 1000 * 0.9)):
                    self._reap()
            except (RedisError, OSError) as error:
                patient_until = time.monotonic() + self._grace_s
                _log.warning("Redis is away, reaping waits: %s", error)
            except Exception:
                _log.exception("reaping failed")

    def _reap(self) -> None:
        for job_id in self._jobs.runs.reap():
            _log.warning("job %s lost its worker and was taken from it", job_id)
        for job_id in self._jobs.runs.redeliver_lost_slips(LOST_SLIP_S):
            _log.warning("job %s had no delivery slip and got a new one", job_id)
        for job_id in self._jobs.runs.settle_left(_UNSETTLED_S):
            _log.warning("job %s had ended, and those who wait did not have the result", job_id)
        for job_id in self._jobs.cancel_abandoned():
            _log.info("job %s was cancelled: its caller went away", job_id)
