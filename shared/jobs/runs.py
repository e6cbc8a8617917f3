"""
What workers and the reaper do with runs.

RQ rewrites and expires what it stores, so it only delivers (`shared.delivery`). How a run stands is
written in a record of our own, the hash `longhand:run:{id}`:

    queued ──claim──► running ──finish──► succeeded
      │  ▲               │ ├────fail────► failed
      │  └───requeue─────┘ │
      └──────cancel────────┴────────────► cancelled

Every arrow is a script of `shared.jobs.moves` that names the status it starts from. What a worker
or the reaper moves must also be at the attempt that they name: a worker that was thought dead
cannot publish over its successor. Each move has an id, so that it succeeds again when a client
that lost the answer repeats it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from redis import Redis

from shared.connections import as_texts, redis_time
from shared.delivery import Delivery
from shared.errors import EngineFailed, ErrorValue, WorkerLost
from shared.jobs.chunks import KeptChunks
from shared.jobs.following import Following, converted_key
from shared.jobs.moves import Moves
from shared.keys import LEASES, QUEUED, RUN
from shared.records import PRIORITIES, Priority, RunRecord, Status, job_prefix
from shared.storage import Storage
from shared.transcript import Transcript


class Runs:
    """
    Every run of a site.

    Args:
        max_attempts: A run fails when so many workers have died while they had it.
    """

    def __init__(
        self,
        redis: Redis,
        storage: Storage,
        *,
        moves: Moves,
        delivery: Delivery,
        following: Following,
        max_attempts: int,
    ) -> None:
        self._redis = redis
        self._storage = storage
        self._moves = moves
        self._delivery = delivery
        self._following = following
        self._max_attempts = max_attempts
        self.chunks = KeptChunks(redis)

    def claim(self, run_id: str, attempt: int, worker: str) -> RunRecord | None:
        """Take a queued run for `worker`; None if it is no longer queued."""
        fields = {"worker": worker, "stage": "decode", "progress": 0.0, "audio_done_s": 0.0}
        fields |= {"eta_s": "", "stages_s": ""}
        if not self._moves.move(run_id, Status.QUEUED, Status.RUNNING, fields, attempt=attempt):
            return None
        try:
            return self._following.read_run(run_id)
        except ValidationError:
            error = EngineFailed(
                "the worker cannot read this job; a worker must not be older than the gateway"
            )
            self.fail(run_id, attempt, error.to_value())
            return None

    def report(self, run_id: str, attempt: int, fields: Mapping[str, Any]) -> bool:
        """Renew the lease and write progress; False if the run is no longer this attempt's."""
        return self._moves.move(run_id, Status.RUNNING, Status.RUNNING, fields, attempt=attempt)

    def finish(
        self,
        run_id: str,
        attempt: int,
        transcript: Transcript,
        converted: Mapping[str, Transcript] | None = None,
    ) -> bool:
        """
        Store a transcript and publish it.

        Args:
            converted: The same transcript in other Chinese scripts, by variant.

        Returns:
            False, with nothing left behind, if the run is no longer this attempt's.
        """
        key = f"{job_prefix(run_id)}/{attempt}/result.json"
        stored = {converted_key(key, variant): t for variant, t in (converted or {}).items()}
        for name, value in {**stored, key: transcript}.items():
            with self._storage.create(name) as out:
                out.write(value.model_dump_json().encode())
        fields = {"result_key": key, "stage": "convert", "progress": 1.0}
        fields |= {"audio_done_s": transcript.duration, "eta_s": ""}
        fields["warnings"] = json.dumps([warned.model_dump() for warned in transcript.warnings])
        if any(warned.is_of_a_failure for warned in transcript.warnings):
            fields["flawed"] = "1"  # the next equal request is transcribed again
        if self._end(run_id, attempt, Status.SUCCEEDED, fields):
            return True
        self._storage.delete_all(f"{job_prefix(run_id)}/{attempt}")
        return False

    def fail(self, run_id: str, attempt: int, error: ErrorValue) -> bool:
        """End a run with an error; False if it is no longer this attempt's."""
        return self._end(run_id, attempt, Status.FAILED, {"error": json.dumps(error)})

    def _end(self, run_id: str, attempt: int, to: Status, fields: Mapping[str, Any]) -> bool:
        if not self._moves.move(run_id, Status.RUNNING, to, fields, attempt=attempt):
            return False
        # The end is published. If the disk is full, the reaper does the rest later.
        self._following.settle_or_leave(run_id)
        return True

    def reap(self) -> list[str]:
        """
        Deliver again every run whose lease ran out; a run that had all its attempts fails.

        Returns:
            The ids of both.
        """
        expired = as_texts(self._redis.zrangebyscore(LEASES, 0, redis_time(self._redis)))
        return [run_id for run_id in expired if self._reap_one(run_id)]

    def _reap_one(self, run_id: str) -> bool:
        status, attempt, first, priority = self._standing(run_id)
        if status is not Status.RUNNING:
            self._redis.zrem(LEASES, run_id)
            return False
        n_attempts = attempt - first + 1
        has_failed = n_attempts >= self._max_attempts
        if has_failed:
            error = WorkerLost(
                f"{n_attempts} workers died over this job; see their logs, then submit it again"
            )
            to = Status.FAILED
            fields: dict[str, Any] = {"error": json.dumps(error.to_value())}
        else:
            to = Status.QUEUED
            fields = {"attempt": attempt + 1, "stage": "", "worker": ""}
            fields |= {"progress": 0.0, "audio_done_s": 0.0, "eta_s": ""}
        if not self._moves.move(
            run_id, Status.RUNNING, to, fields, attempt=attempt, is_expired=True
        ):
            return False
        if not has_failed:
            self._delivery.enqueue(run_id, attempt + 1, priority=priority)
        self._delivery.forget(run_id, attempt)
        if has_failed:
            self._following.settle_or_leave(run_id)
        return True

    def _standing(self, run_id: str) -> tuple[Status | None, int, int, Priority]:
        """Status, attempt, first attempt and priority; the other fields may be unreadable."""
        self._moves.adopt(run_id)
        reply: Any = self._redis.hmget(
            RUN.of(run_id), "status", "attempt", "first_attempt", "priority"
        )
        status, attempt, first, priority = reply
        if not status:
            return None, 0, 1, "normal"
        known = {p.encode(): p for p in PRIORITIES}
        return Status(status.decode()), int(attempt), int(first or 1), known.get(priority, "normal")

    def redeliver_lost_slips(self, older_than_s: float) -> list[str]:
        """
        Give a new slip to every queued run that has none.

        A slip gets lost when a gateway dies between a job's record and its slip, or a worker
        between pulling and claiming it. A second slip for one attempt does no harm: only one
        claim succeeds.

        Returns:
            The ids of these runs.
        """
        now = redis_time(self._redis)
        waiting = []
        for queue in map(QUEUED.of, PRIORITIES):
            waiting += as_texts(self._redis.zrangebyscore(queue, 0, now - older_than_s))
        if not waiting:
            return []
        # All slips are read together: nearly every run has one, and single look-ups would be slow.
        delivered = self._delivery.waiting_runs()
        return [run for run in waiting if run not in delivered and self._redeliver(run, now)]

    def _redeliver(self, run_id: str, now: float) -> bool:
        status, attempt, _, priority = self._standing(run_id)
        if status is not Status.QUEUED:
            for queue in map(QUEUED.of, PRIORITIES):
                self._redis.zrem(queue, run_id)
            return False
        self._delivery.forget(run_id, attempt)
        pipe = self._redis.pipeline()
        self._delivery.enqueue(run_id, attempt, pipe, priority=priority)
        pipe.zadd(QUEUED.of(priority), {run_id: now}, xx=True)
        pipe.execute()
        return True

    def settle_left(self, older_than_s: float = 0.0) -> list[str]:
        """
        Settle the runs that ended some time ago, and whose worker died before it settled them.

        Returns:
            Their ids.
        """
        return self._following.settle_left(older_than_s)
