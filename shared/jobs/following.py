"""
Jobs of the same audio with the same options share one run.

The first of them *leads*: its run is everybody's. Each of the others is a job
of its own that *follows*: it has its own id, owner, label and audio (of which
storage keeps the bytes once), and is settled with the result when the run ends.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from redis import Redis

from shared.connections import as_texts
from shared.errors import IdempotencyMismatch, StorageFull
from shared.history import History
from shared.jobs.moves import Moves
from shared.keys import (
    CACHE,
    ENDED,
    FOLLOWERS,
    IDEMPOTENCY,
    JOB,
    JOBS,
    LEASES,
    QUEUED,
    SETTLING,
    WEBHOOKS,
)
from shared.records import (
    PRIORITIES,
    JobEntry,
    JobRecord,
    Status,
    job_prefix,
    to_hash,
)
from shared.storage import KeyNotFound, Storage

IDEMPOTENCY_S = 24 * 3600
"""How long an Idempotency-Key stands for its request."""

_log = logging.getLogger(__name__)


class Following:
    """Lets jobs in and their owners go, and gives those that follow what became of the run."""

    def __init__(self, redis: Redis, storage: Storage, moves: Moves, history: History) -> None:
        self._redis = redis
        self._storage = storage
        self._moves = moves
        self._history = history

    def enter(self, record: JobRecord, entry: JobEntry) -> tuple[str, JobRecord]:
        """
        Write a new job, unless its Idempotency-Key has made one before.

        Returns:
            `lead`: it is to be run; `follow`, `done`: it has the run, or the result, of another;
            `same`: the job that was made before. And the job.

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
            # Deleted just now: it is run anew, and that one is followed by nobody.
            record, cache = (finished, "") if finished else (record, self._without(cache, other))
        if outcome == "mismatch":
            raise IdempotencyMismatch(
                "this Idempotency-Key was used for another request; every request needs its own"
            )
        if outcome == "same":
            found = self._history.find(other)
            return outcome, found or record
        if outcome == "follow":
            record = record.model_copy(update={"follows": other})
            with self._put_off(record.id):  # it keeps its own
                self._share_audio(record, other)
        elif outcome == "done":
            # It is there: what a full disk keeps from it must not make it half a job.
            with self._put_off(record.id):
                self._history.keep(record.id)
        return outcome, record

    @contextmanager
    def _put_off(self, job_id: str) -> Iterator[None]:
        """Go on without what a full disk does not let happen."""
        try:
            yield
        except (StorageFull, OSError) as error:
            _log.warning("job %s goes on without it: %s", job_id, error)

    def _without(self, cache: str, job_id: str) -> str:
        """Forget whose result was to be taken; the entry it stood in."""
        if self._redis.get(cache) == job_id.encode():
            self._redis.delete(cache)
        return cache

    def _take_result(self, record: JobRecord, run: str) -> JobRecord | None:
        """A job as it stands with the result of another; None if that is there no more."""
        theirs = self._history.find(run)
        try:
            if theirs is None or theirs.result_key is None:
                return None
            key = self._link_result(theirs, record)
        except KeyNotFound:
            return None
        self._share_audio(record, run)
        taken = {"result_key": key, "status": Status.SUCCEEDED, "stage": "convert"}
        ended = {"progress": 1.0, "audio_done_s": theirs.audio_done_s, "follows": run}
        ended["warnings"] = theirs.warnings
        times = {"started_at": record.created_at, "ended_at": record.created_at}
        return record.model_copy(update=taken | ended | times)

    def _share_audio(self, record: JobRecord, run: str) -> None:
        """Keep the bytes of an upload once; they are the same, by their hash."""
        try:
            self._storage.link(f"{job_prefix(run)}/audio", record.audio.key)
        except KeyNotFound:
            _log.debug("the audio of job %s is gone; job %s keeps its own", run, record.id)

    def _link_result(self, run: JobRecord, record: JobRecord) -> str:
        """Make a run's result a job's own; its key."""
        assert run.result_key is not None
        key = f"{job_prefix(record.id)}/{run.attempt}/result.json"
        self._storage.link(run.result_key, key)
        variant = run.request.chinese
        if variant not in (None, "none"):
            with suppress(KeyNotFound):  # its language has no such scripts
                self._storage.link(
                    converted_key(run.result_key, variant), converted_key(key, variant)
                )
        return key

    def leave(self, job_id: str, how: str, *, is_gone: bool = False) -> str:
        """
        Let a job's owner go; see `Moves.leave`.

        Returns:
            `alone` if the job is to be cancelled too, otherwise what was done.
        """
        outcome, run = self._moves.leave(job_id, how, is_gone=is_gone)
        if outcome == "last":
            # Unless its owner has just come back to it.
            unfinished = (Status.QUEUED, Status.RUNNING)
            if self._moves.move(run, unfinished, Status.CANCELLED, {}, condition="released"):
                self._close(run)
            return "left"
        return outcome

    def settle(self, run_id: str) -> None:
        """Give everybody who follows a run that ended what became of it, and keep its record."""
        reply: Any = self._redis.smembers(FOLLOWERS.of(run_id))
        if reply:
            run = self._history.find(run_id)
            if run is None or not run.status.is_final:
                return
            for job_id in as_texts(reply):
                self._settle_one(run, job_id)
        self._close(run_id)
        self._redis.zrem(SETTLING, run_id)

    def settle_or_leave(self, run_id: str) -> bool:
        """Settle a run; False if that cannot be now, for a full disk: the reaper tries again."""
        try:
            self.settle(run_id)
        except (StorageFull, OSError) as error:
            _log.warning("what became of job %s cannot be kept yet: %s", run_id, error)
            self._redis.zadd(SETTLING, {run_id: time.time()})
            return False
        return True

    def _settle_one(self, run: JobRecord, job_id: str) -> None:
        key, record = "", self._history.find(job_id)
        if record is not None and run.status is Status.SUCCEEDED:
            key = self._link_result(run, record)
        if self._moves.settle(job_id, run.id, key):
            self._history.keep(job_id)
        elif not self._redis.exists(JOB.of(job_id)):  # deleted meanwhile
            self._storage.delete_all(job_prefix(job_id))

    def _close(self, run_id: str) -> None:
        """Keep the record of a run that ended; or remove all of it, if its owner deleted it."""
        if self._redis.hget(JOB.of(run_id), "released") == b"deleted":
            run = self._history.find(run_id)
            if run is not None:
                self.remove(run)
        else:
            self._history.keep(run_id)

    def settle_left(self) -> list[str]:
        """Settle the runs whose worker died between their end and this; their ids."""
        left = as_texts(self._redis.zrange(SETTLING, 0, -1))
        return [run_id for run_id in left if self.settle_or_leave(run_id)]

    def remove(self, record: JobRecord) -> None:
        """Remove a job's audio, result and record."""
        self._storage.delete_all(job_prefix(record.id))
        pipe: Any = self._redis.pipeline()
        pipe.delete(JOB.of(record.id), FOLLOWERS.of(record.id))
        pipe.zrem(JOBS.of(record.owner), record.id)
        pipe.zrem(ENDED, record.id)
        pipe.zrem(WEBHOOKS, record.id)
        pipe.zrem(SETTLING, record.id)
        for queue in map(QUEUED.of, PRIORITIES):  # it was tried again a moment ago
            pipe.zrem(queue, record.id)
        pipe.zrem(LEASES, record.id)
        pipe.execute()
        # Once more: who wrote its record meanwhile found it in Redis still.
        self._storage.delete_all(job_prefix(record.id))


def converted_key(result_key: str, variant: str) -> str:
    """Where a result lies in another Chinese script."""
    return result_key.removesuffix(".json") + f".{variant}.json"
