"""One thread watches the jobs of all requests that were put aside."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from gateway.errors import REDIS_AWAY
from shared.jobs import Jobs

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 0.5
_GROWTH = 1.3
_TICK_S = 0.25
"""How soon a disconnect is noticed."""

_STAY_EVERY_S = 2.0
"""Readers by an Idempotency-Key have to say this often that they are still there."""

_AWAY_PAUSE_S = 1.0
_STOP_DEADLINE_S = 10.0

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Watched:
    """
    A request that waits for a job.

    Attributes:
        resume: Makes the server answer the request. It is called once.
        has_disconnected: Whether its caller has disconnected.
        stay: Says that the caller is still there; see `Reader.stay`.
        until: The latest time to answer, by `time.monotonic()`.
    """

    job_id: str
    resume: Callable[[], None]
    has_disconnected: Callable[[], bool]
    stay: Callable[[], None]
    until: float
    look_at: float = 0.0
    stay_at: float = 0.0
    pause_s: float = field(default=_FIRST_PAUSE_S)

    def wait_more(self, now: float) -> None:
        """Delay the next look, each time for longer."""
        self.look_at = now + self.pause_s
        self.pause_s = min(self.pause_s * _GROWTH, _LONGEST_PAUSE_S)


class Watcher:
    """
    Resumes a request when its job has ended, its time is over or its caller has disconnected.

    While Redis is away requests go on waiting: their jobs are there when it comes back.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._changed = threading.Condition()
        self._watched: set[Watched] = set()
        self._is_stopped = False
        self._is_away = False
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    @property
    def n_watched(self) -> int:
        """How many requests wait."""
        return len(self._watched)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Resume every request now, and end the thread."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()
        self._thread.join(_STOP_DEADLINE_S)

    def watch(self, watched: Watched) -> None:
        """Watch a job. From here on `resume` may be called at any moment, from any thread."""
        watched.wait_more(time.monotonic())
        with self._changed:
            if not self._is_stopped:
                self._watched.add(watched)
                self._changed.notify()
                return
        watched.resume()

    def _run(self) -> None:
        while not self._is_stopped:
            try:
                self._look()
            except Exception:
                _log.exception("looking at waiting requests failed; trying again")
                time.sleep(_AWAY_PAUSE_S)
            with self._changed:
                if not self._is_stopped:
                    self._changed.wait(self._idle_s())
        with self._changed:
            left = list(self._watched)
        self._resume(left)

    def _idle_s(self) -> float | None:
        """Seconds until the next look; None while no request waits."""
        if not self._watched:
            return None
        soonest = min(watched.look_at for watched in self._watched)
        return min(max(soonest - time.monotonic(), 0.0), _TICK_S)

    def _look(self) -> None:
        now = time.monotonic()
        with self._changed:
            everybody = list(self._watched)
        self._resume([w for w in everybody if w.until <= now or w.has_disconnected()])
        due = [w for w in everybody if w.look_at <= now and w in self._watched]
        if not due:
            return
        try:
            self._resume(self._ended(due))
            for watched in due:
                if watched.stay_at <= now:
                    watched.stay_at = now + _STAY_EVERY_S
                    watched.stay()
            pause_s, self._is_away = 0.0, False
        except REDIS_AWAY as error:
            if not self._is_away:
                _log.warning("%d requests wait on, Redis is away: %s", len(everybody), error)
            pause_s, self._is_away = _AWAY_PAUSE_S, True
        for watched in due:
            watched.wait_more(time.monotonic() + pause_s)

    def _ended(self, due: Collection[Watched]) -> list[Watched]:
        """Those whose job has ended, was cancelled by its owner, or is no longer there."""
        ended = self._jobs.have_ended([watched.job_id for watched in due])
        return [watched for watched, has_ended in zip(due, ended, strict=True) if has_ended]

    def _resume(self, ended: Collection[Watched]) -> None:
        for watched in ended:
            with self._changed:
                is_here = watched in self._watched
                self._watched.discard(watched)
            if is_here:
                watched.resume()
