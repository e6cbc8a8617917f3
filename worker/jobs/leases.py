"""The running jobs of this worker: their leases are renewed, their progress goes to Redis."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from redis.exceptions import RedisError

from shared.errors import JobCancelled
from shared.jobs import Runs

RENEW_S = 5.0
_TELL_S = 1.0
FIRST_STAGE = "decode"
"""The stage of a job from the moment it is claimed."""

_log = logging.getLogger(__name__)


class Lease:
    """One attempt at a job. Threads that work on it only write here; `Leases` writes to Redis."""

    def __init__(self, job_id: str, attempt: int) -> None:
        self.job_id = job_id
        self.attempt = attempt
        self.telling = threading.Lock()
        """Held while fields are written to Redis: they must arrive in order."""

        self._lost = threading.Event()
        self._fields: dict[str, Any] = {}
        self._is_changed = False
        self.renewed = time.monotonic()
        self._first: tuple[float, float] | None = None
        self._stages_s: dict[str, float] = {}
        self._counted = time.monotonic()

    def check(self) -> None:
        """Raise `JobCancelled` once the attempt is no longer wanted."""
        if self._lost.is_set():
            raise JobCancelled("the job was cancelled, or given to another worker")

    def report(self, stage: str, fraction: float, audio_done_s: float = 0.0) -> None:
        """Note the job's progress; raises `JobCancelled` as `check` does."""
        self.check()
        if stage != self._fields.get("stage"):
            self._first = None  # each stage has a pace of its own
        self._fields = {
            "stage": stage,
            "progress": round(fraction, 4),
            "audio_done_s": round(audio_done_s, 2),
            "eta_s": self._eta_s(fraction),
            "stages_s": self._count_stage(),
        }
        self._is_changed = True

    def _count_stage(self) -> str:
        """Add the time since the last count to the current stage; returns all stages, as JSON."""
        now = time.monotonic()
        stage = self._fields.get("stage", FIRST_STAGE)
        self._stages_s[stage] = self._stages_s.get(stage, 0.0) + now - self._counted
        self._counted = now
        return json.dumps({name: round(seconds, 3) for name, seconds in self._stages_s.items()})

    def _eta_s(self, fraction: float) -> float | str:
        """Seconds left at the pace of this stage; "" while that is not known."""
        now = time.monotonic()
        if self._first is None:
            self._first = (now, fraction)
        since, from_ = self._first
        if fraction <= from_:
            return ""
        return round((now - since) / (fraction - from_) * (1 - fraction), 1)

    def lose(self) -> None:
        """Mark the attempt as no longer wanted."""
        self._lost.set()

    def take_news(self, now: float, renew_s: float) -> dict[str, Any] | None:
        """The fields to write to Redis now; None if nothing changed and the lease is fresh."""
        if not self._is_changed and now - self.renewed < renew_s:
            return None
        self._is_changed = False
        return self._fields

    def last_news(self) -> dict[str, Any]:
        """The fields to write when the work on the job has ended."""
        self._fields = self._fields | {"stages_s": self._count_stage()}
        self._is_changed = False
        return self._fields


class Leases(threading.Thread):
    """
    Writes the progress of all running jobs to Redis each second, and renews their leases.

    Args:
        beat: Called at the start and every five seconds; publishes the worker's record.
        renew_s: Most seconds between two renewals; must be well below the length of a lease.
    """

    def __init__(self, runs: Runs, beat: Callable[[], None], *, renew_s: float = RENEW_S) -> None:
        super().__init__(name="leases", daemon=True)
        self._runs = runs
        self._beat = beat
        self._renew_s = renew_s
        self._held: set[Lease] = set()
        self._stopped = threading.Event()

    @property
    def n_held(self) -> int:
        """How many jobs are running here."""
        return len(self._held)

    @contextmanager
    def hold(self, job_id: str, attempt: int) -> Iterator[Lease]:
        """Keep the lease of a claimed job renewed during the block."""
        lease = Lease(job_id, attempt)
        self._held.add(lease)
        try:
            yield lease
        finally:
            self._held.remove(lease)

    def tell_last(self, lease: Lease) -> None:
        """Write how long each stage took, before the job is moved to its end."""
        with lease.telling:
            self._runs.report(lease.job_id, lease.attempt, lease.last_news())

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self.is_alive():
            self.join(5)

    def run(self) -> None:
        """Write progress and renew leases until stopped."""
        beaten = -math.inf
        pause_s = 0.0
        while not self._stopped.wait(pause_s):
            pause_s = _TELL_S
            try:
                now = time.monotonic()
                for lease in list(self._held):
                    self._tell(lease, now)
                if now - beaten >= RENEW_S:
                    self._beat()
                    beaten = now
            except (RedisError, OSError) as error:
                _log.warning("Redis is away, leases wait: %s", error)
            except Exception:
                _log.exception("leases could not be renewed")

    def _tell(self, lease: Lease, now: float) -> None:
        with lease.telling:
            fields = lease.take_news(now, self._renew_s)
            if fields is None:
                return
            is_ours = self._runs.report(lease.job_id, lease.attempt, fields)
        if is_ours:
            lease.renewed = now
        elif lease in self._held:
            _log.warning("job %s is no longer ours", lease.job_id)
            lease.lose()
