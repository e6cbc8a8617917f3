"""
Removes what is past its retention time: audio, results, failed jobs, and parts of expired uploads.

Jobs are found by an index in Redis, which holds every ended job with the time of its end.
Jobs that Redis lost are found by a walk through storage once a day. A job that has not ended, or
whose run other jobs still share, is never touched.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError
from redis import Redis
from redis.exceptions import RedisError

from gateway.settings import GatewaySettings
from gateway.submission.batches import Batches
from shared.connections import redis_time
from shared.errors import JobNotFound, StorageFull
from shared.history import History
from shared.jobs import Jobs
from shared.jobs.ended import EndedJob
from shared.keys import SWEEPER, UPLOAD, WALKED
from shared.records import JobRecord, Status, is_job_id, job_prefix
from shared.storage import KeyNotFound, Storage

_WALK_EVERY_S = 24 * 3600
_LEFT_S = 24 * 3600
_ORPHAN_S = 7 * 24 * 3600
"""Audio without a job is kept this long: Redis may be restored from a backup."""

_log = logging.getLogger(__name__)

What = Literal["audio", "job"]


@dataclass(frozen=True)
class Rule:
    """
    How long something of ended jobs is kept.

    Attributes:
        statuses: The statuses of the jobs that it concerns.
        what: `audio`, or the whole `job`.
        keep_s: Seconds after the job's end; 0 keeps it for ever.
    """

    name: str
    statuses: frozenset[str]
    what: What
    keep_s: float

    def applies(self, status: str, *, has_audio: bool) -> bool:
        """Whether this rule has something to remove of a job."""
        return status in self.statuses and (self.what == "job" or has_audio)

    def is_done(self, job: EndedJob) -> bool:
        """Whether what Redis knows of a job shows that this rule has nothing to remove."""
        if job.status is None or not job.status.is_final:
            return False
        return not self.applies(job.status, has_audio=job.has_audio)


def rules_of(settings: GatewaySettings) -> list[Rule]:
    """The rules of a site; those about whole jobs come first."""
    succeeded = frozenset({Status.SUCCEEDED.value})
    failed = frozenset({Status.FAILED.value, Status.CANCELLED.value})
    every = [
        Rule("results", succeeded, "job", settings.keep_results_s),
        Rule("failed", failed, "job", settings.keep_failed_s),
        Rule("audio", succeeded | failed, "audio", settings.keep_audio_s),
    ]
    return [rule for rule in every if rule.keep_s]


class Retention:
    """
    Removes what is past its time. Any gateway of a site may do it.

    Args:
        spool: The folder of bodies that are still arriving.
    """

    def __init__(
        self, redis: Redis, jobs: Jobs, storage: Storage, settings: GatewaySettings, *, spool: Path
    ) -> None:
        self._redis = redis
        self._jobs = jobs
        self._storage = storage
        self._history = History(redis, storage)
        self._batches = Batches(redis, storage, jobs)
        self._rules = rules_of(settings)
        self._spool = spool
        self._done_until: dict[str, float] = {}

    def sweep(self) -> None:
        """Remove everything that is past its time now."""
        self._storage.remove_abandoned()
        self._clear_spool()
        now = redis_time(self._redis)
        for rule in self._rules:
            self._sweep_ended(rule, now)
        if self._redis.set(WALKED, 1, nx=True, ex=_WALK_EVERY_S):
            try:
                self.walk(now)
            except BaseException:
                self._redis.delete(WALKED)
                raise

    def _sweep_ended(self, rule: Rule, now: float) -> None:
        """Apply a rule to the jobs whose time has passed since this gateway's last sweep."""
        until = now - rule.keep_s
        since = self._done_until.get(rule.name, 0.0)
        left = [
            job.ended_at
            for job in self._jobs.ended.between(since, until)
            if not rule.is_done(job) and not self._apply(rule, job.id, now)
        ]
        self._done_until[rule.name] = min(left, default=until)

    def _apply(self, rule: Rule, job_id: str, now: float) -> bool:
        """Apply a rule to one job. Returns False if that has to wait."""
        try:
            record = self._history.find(job_id)
            if record is None:
                return True
            if record.ended_at is None or now - record.ended_at < rule.keep_s:
                return False  # it was tried again, and has ended once more
            if not record.status.is_final:
                return False
            if not rule.applies(record.status, has_audio=record.audio_removed_at is None):
                return True
            if self._jobs.ended.is_shared(job_id):
                return False
            if rule.what == "audio":
                return self._remove_audio(record, now)
            self._jobs.delete(job_id)
            _log.info("job %s was removed after its time", job_id)
        except (JobNotFound, ValidationError):
            return True
        except (StorageFull, OSError) as error:
            _log.warning("job %s cannot be removed yet: %s", job_id, error)
            return False
        return True

    def _remove_audio(self, record: JobRecord, now: float) -> bool:
        # The mark comes first, and only on an ended job: from then on it cannot be tried again.
        is_marked = self._jobs.ended.mark_audio_removed(record.id, now)
        if is_marked is False:
            return False
        self._delete_audio(record)
        if is_marked:
            self._history.keep(record.id)
        else:  # Redis lost it
            self._history.write(record.model_copy(update={"audio_removed_at": now}))
        _log.info("the audio of job %s was removed after its time", record.id)
        return True

    def _delete_audio(self, record: JobRecord) -> None:
        if record.audio.key.startswith(f"{job_prefix(record.id)}/"):
            self._storage.delete(record.audio.key)
        self._storage.delete_all(f"{job_prefix(record.id)}/voices")

    def walk(self, now: float) -> None:
        """Go through storage: apply rules to jobs that Redis lost, and remove what has no job."""
        for key in self._storage.keys("jobs"):
            _, job_id, name = key.split("/", 2)
            if not is_job_id(job_id):
                continue
            if name == "record.json" and not self._jobs.ended.holds(job_id):
                for rule in self._rules:
                    self._apply(rule, job_id, now)
            elif name == "audio":
                self._look_at_audio(job_id, now)
            elif name == "batch.json":
                self._look_at_batch(job_id, now)
        for upload_id in {key.split("/")[1] for key in self._storage.keys("uploads")}:
            if not self._redis.exists(UPLOAD.of(upload_id)):
                self._storage.delete_all(f"uploads/{upload_id}")
                _log.info("the parts of upload %s were removed: it has expired", upload_id)

    def _look_at_audio(self, job_id: str, now: float) -> None:
        """Remove audio that is past its time, or that has no job."""
        with suppress(KeyNotFound, ValidationError):
            record = self._history.find(job_id)
            if record is not None:
                if record.audio_removed_at is not None and record.status.is_final:
                    self._delete_audio(record)
            elif self._jobs.ended.is_shared(job_id):
                return  # deleted by its owner, while others wait for its run
            elif now - self._storage.written_at(f"{job_prefix(job_id)}/audio") > _ORPHAN_S:
                self._storage.delete_all(job_prefix(job_id))
                _log.info("the audio of %s was removed: there is no such job", job_id)

    def _look_at_batch(self, batch_id: str, now: float) -> None:
        """Remove a batch that has no jobs left, once a backup is unlikely to restore them."""
        with suppress(KeyNotFound, ValidationError):
            age_s = now - self._storage.written_at(f"{job_prefix(batch_id)}/batch.json")
            if age_s > _ORPHAN_S and self._batches.remove_if_empty(batch_id):
                _log.info("batch %s was removed: none of its jobs is left", batch_id)

    def _clear_spool(self) -> None:
        for left in self._spool.iterdir() if self._spool.is_dir() else ():
            with suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > _LEFT_S:
                    left.unlink()


class Sweeper(threading.Thread):
    """
    Sweeps every few minutes; one gateway at a time.

    Args:
        redis: A client with a short timeout; during an outage this thread waits.
    """

    def __init__(self, redis: Redis, retention: Retention, *, every_s: float) -> None:
        super().__init__(name="sweeper", daemon=True)
        self._redis = redis
        self._retention = retention
        self._every_s = every_s
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End the thread at its next turn."""
        self._stopped.set()

    def run(self) -> None:
        """Sweep until stopped."""
        while not self._stopped.wait(self._every_s):
            try:
                if self._redis.set(SWEEPER, 1, nx=True, px=int(self._every_s * 900)):
                    self._retention.sweep()
            except (RedisError, OSError) as error:
                _log.warning("nothing is removed for now: %s", error)
            except Exception:
                _log.exception("removing what is past its time failed")
