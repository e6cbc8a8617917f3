"""
Jobs of the same audio with the same options share one run.

The run has the id of the job that began it. Each of its jobs has its own id, owner, label and
audio (of which storage keeps the bytes once). When the run ends, every job that waits for it is
settled: it gets how the run ended, with a result of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from redis import Redis

from shared.connections import as_texts, redis_time
from shared.errors import IdempotencyMismatch, StorageFull
from shared.history import History
from shared.jobs.ended import EndedJobs
from shared.jobs.moves import Moves
from shared.keys import CACHE, IDEMPOTENCY, JOB, JOBS, RUN, RUN_JOBS, SETTLING
from shared.records import JobEntry, JobRecord, RunRecord, Status, from_hash, job_prefix, to_hash
from shared.storage import KeyNotFound, Storage

IDEMPOTENCY_S = 24 * 3600
"""How long an Idempotency-Key stands for its request."""

_PUT_OFF_S = 600
"""A record that cannot be read may be that of a newer version, whose worker settles it."""

_log = logging.getLogger(__name__)


class Following:
    """Lets jobs in, and settles them when their runs have ended."""

    def __init__(self, redis: Redis, storage: Storage, moves: Moves, history: History) -> None:
        self._redis = redis
        self._storage = storage
        self._moves = moves
        self._history = history
        self._ended = EndedJobs(redis)

    def enter(self, record: JobRecord, entry: JobEntry) -> tuple[str, JobRecord]:
        """
        Write a new job, unless its Idempotency-Key has made one before.

        Returns:
            What was done, and the job. `lead`: it has a run of its own, which must be delivered;
            `follow`: it joined a run; `done`: it has the result of a run that ended; `same`: it is
            the job that was made before.

        Raises:
            IdempotencyMismatch: With this key another request was made.
        """
        cache = CACHE.of(entry.cache_key) if entry.cache_key else ""
        named = entry.idempotency_key
        idempotency = (IDEMPOTENCY.of(named) if named else "", entry.fingerprint)
        while True:
            outcome, other = self._moves.enter(
                record.id,
                JOBS.of(record.owner),
                to_hash(record),
                cache=cache,
                idempotency=(*idempotency, IDEMPOTENCY_S),
            )
            if outcome != "finished":
                break
            finished = self._take_result(record, other)
            # If the result was deleted just now, the job gets a run of its own.
            record, cache = (finished, "") if finished else (record, self._without(cache, other))
        if outcome == "mismatch":
            raise IdempotencyMismatch(
                "this Idempotency-Key was used for another request; every request needs its own"
            )
        if outcome == "same":
            found = self._history.find(other)
            return outcome, found or record
        if outcome == "follow":
            record = record.model_copy(update={"run": other})
            with self._put_off(record.id):  # the job keeps its own copy
                self._share_audio(record, other)
        elif outcome == "done":
            # The job exists by now, even if a full disk cannot take its record.
            with self._put_off(record.id):
                self._history.keep(record.id)
        return outcome, record

    @contextmanager
    def _put_off(self, job_id: str) -> Iterator[None]:
        """Go on if the block fails because the disk is full."""
        try:
            yield
        except (StorageFull, OSError) as error:
            _log.warning("job %s goes on without it: %s", job_id, error)

    def _without(self, cache: str, job_id: str) -> str:
        """Remove the cache entry of a run whose result is gone; returns the entry's key."""
        if self._redis.get(cache) == job_id.encode():
            self._redis.delete(cache)
        return cache

    def _take_result(self, record: JobRecord, run_id: str) -> JobRecord | None:
        """A job with the result of a run that ended; None if the result was removed."""
        run = self.read_run(run_id)
        try:
            if run is None or run.result_key is None:
                return None
            key = self._link_result(run, record.id)
        except KeyNotFound:
            return None
        self._share_audio(record, run_id)
        taken = {"result_key": key, "status": Status.SUCCEEDED, "stage": "convert", "run": run_id}
        ended = {"progress": 1.0, "audio_done_s": run.audio_done_s, "warnings": run.warnings}
        times = {"started_at": record.created_at, "ended_at": record.created_at}
        return record.model_copy(update=taken | ended | times)

    def read_run(self, run_id: str) -> RunRecord | None:
        """
        The record of a run; None if there is none.

        Raises:
            ValidationError: It is of another version.
        """
        fields: Any = self._redis.hgetall(RUN.of(run_id))
        return from_hash(RunRecord, fields) if fields else None

    def _share_audio(self, record: JobRecord, run: str) -> None:
        """Store the bytes of an upload once; the run's audio has the same hash."""
        try:
            self._storage.link(f"{job_prefix(run)}/audio", record.audio.key)
        except KeyNotFound:
            _log.debug("the audio of job %s is gone; job %s keeps its own", run, record.id)

    def _link_result(self, run: RunRecord, job_id: str) -> str:
        """Give a run's result to a job; returns the key."""
        assert run.result_key is not None
        if job_id == run.id:
            return run.result_key
        key = f"{job_prefix(job_id)}/{run.attempt}/result.json"
        self._storage.link(run.result_key, key)
        variant = run.request.chinese
        if variant not in (None, "none"):
            with suppress(KeyNotFound):  # its language has no such scripts
                self._storage.link(
                    converted_key(run.result_key, variant), converted_key(key, variant)
                )
        return key

    def settle(self, run_id: str) -> None:
        """Settle the jobs of a run if it has ended; keep the record of the job that began it."""
        status: Any = self._redis.hget(RUN.of(run_id), "status")
        if status is not None and not Status(status.decode()).is_final:
            self._history.keep(run_id)  # a job that left, whose run goes on for others
            return
        reply: Any = self._redis.smembers(RUN_JOBS.of(run_id))
        # Its own job is first: only the others need room on the disk for their results.
        job_ids = sorted(as_texts(reply), key=lambda job_id: job_id != run_id)
        run = self.read_run(run_id) if job_ids and status == b"succeeded" else None
        for job_id in job_ids:
            key = self._link_result(run, job_id) if run else ""
            if self._moves.settle(job_id, run_id, key):
                self._history.keep(job_id)
            elif not self._redis.exists(JOB.of(job_id)):  # deleted meanwhile
                self.remove(job_id)
        if not self._redis.exists(JOB.of(run_id)):
            self.remove(run_id)
        elif run_id not in job_ids:  # it left
            self._history.keep(run_id)
        self._redis.zrem(SETTLING, run_id)

    def settle_or_leave(self, run_id: str) -> bool:
        """Settle a run; False if the disk is full: then the reaper tries again."""
        try:
            self.settle(run_id)
        except (StorageFull, OSError) as error:
            _log.warning("what became of job %s cannot be kept yet: %s", run_id, error)
            self._redis.zadd(SETTLING, {run_id: redis_time(self._redis)})
            return False
        return True

    def settle_left(self, older_than_s: float) -> list[str]:
        """See `Runs.settle_left`."""
        until = redis_time(self._redis) - older_than_s
        left = as_texts(self._redis.zrangebyscore(SETTLING, 0, until))
        for run_id in left:
            self._moves.adopt(run_id)
        return [run_id for run_id in left if self._settle_if_readable(run_id)]

    def _settle_if_readable(self, run_id: str) -> bool:
        """Settle a run; one that cannot be read is put off, so that the others are settled."""
        try:
            return self.settle_or_leave(run_id)
        except (KeyNotFound, ValueError):
            _log.exception("run %s cannot be read; it is tried again in %d s", run_id, _PUT_OFF_S)
            self._redis.zadd(SETTLING, {run_id: redis_time(self._redis) + _PUT_OFF_S})
            return False

    def remove(self, job_id: str) -> None:
        """Remove a job, and what is stored for it unless its run goes on for others."""
        self._history.forget(job_id)
        # The files go before Redis forgets the job: if that fails, the job can be deleted again.
        if not self._ended.is_shared(job_id):
            self._storage.delete_all(job_prefix(job_id))
        if self._moves.remove(job_id):
            self._storage.delete_all(job_prefix(job_id))
        else:
            self._history.forget(job_id)  # it may have been kept once more meanwhile


def converted_key(result_key: str, variant: str) -> str:
    """Where a result lies in another Chinese script."""
    return result_key.removesuffix(".json") + f".{variant}.json"
