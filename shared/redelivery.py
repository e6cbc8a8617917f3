"""Jobs whose worker died, whose slip got lost, or whose caller went away: a reaper's work."""

from __future__ import annotations

import json
from typing import Any

from redis import Redis

from shared.connections import as_texts, redis_time
from shared.delivery import Delivery
from shared.errors import WorkerLost
from shared.moves import Moves, queued_key
from shared.records import PRIORITIES, Priority, Status, job_key
from shared.scripts import LEASES


class Redelivery:
    """Finds jobs that nobody works on, and has them delivered again."""

    def __init__(
        self, redis: Redis, moves: Moves, delivery: Delivery, *, max_attempts: int
    ) -> None:
        self._redis = redis
        self._moves = moves
        self._delivery = delivery
        self._max_attempts = max_attempts

    def reap(self) -> tuple[list[str], list[str]]:
        """
        Take the jobs whose lease ran out from their workers.

        Returns:
            Those that were delivered again, and those that have had all their attempts and failed.
        """
        expired = as_texts(self._redis.zrangebyscore(LEASES, 0, redis_time(self._redis)))
        outcomes = [(job_id, self._reap_one(job_id)) for job_id in expired]
        again = [job_id for job_id, outcome in outcomes if outcome == "again"]
        return again, [job_id for job_id, outcome in outcomes if outcome == "failed"]

    def _reap_one(self, job_id: str) -> str:
        status, attempt, first, priority = self._standing(job_id)
        if status is not Status.RUNNING:
            self._redis.zrem(LEASES, job_id)
            return ""
        wanted, n_attempts = (Status.RUNNING,), attempt - first + 1
        if n_attempts >= self._max_attempts:
            error = WorkerLost(
                f"{n_attempts} workers died over this job; see their logs, then submit it again"
            )
            fields: dict[str, Any] = {"error": json.dumps(error.to_value())}
            if not self._moves.move(
                job_id, wanted, Status.FAILED, fields, attempt=attempt, condition="expired"
            ):
                return ""
            self._delivery.forget(job_id, attempt)
            return "failed"
        fields = {"attempt": attempt + 1, "stage": "", "worker": ""}
        fields |= {"progress": 0.0, "audio_done_s": 0.0, "eta_s": ""}
        if not self._moves.move(
            job_id, wanted, Status.QUEUED, fields, attempt=attempt, condition="expired"
        ):
            return ""
        self._delivery.enqueue(job_id, attempt + 1, priority=priority)
        self._delivery.forget(job_id, attempt)
        return "again"

    def _standing(self, job_id: str) -> tuple[Status | None, int, int, Priority]:
        """Little of a job: a record that cannot be read must not stop the reaper."""
        reply: Any = self._redis.hmget(
            job_key(job_id), "status", "attempt", "first_attempt", "priority"
        )
        status, attempt, first, priority = reply
        if not status:
            return None, 0, 1, "normal"
        known = {p.encode(): p for p in PRIORITIES}
        return Status(status.decode()), int(attempt), int(first or 1), known.get(priority, "normal")

    def redeliver_lost_slips(self, older_than_s: float) -> list[str]:
        """
        Give a new slip to every queued job that has none; return their ids.

        A slip gets lost when a gateway dies between a job's record and its slip, or a worker
        between pulling and claiming it. A second slip for one attempt does no harm: only one
        claim succeeds.
        """
        now = redis_time(self._redis)
        waiting = []
        for queue in map(queued_key, PRIORITIES):
            waiting += as_texts(self._redis.zrangebyscore(queue, 0, now - older_than_s))
        if not waiting:
            return []
        # Most have their slip: they must cost nothing, however many they are.
        delivered = self._delivery.waiting_jobs()
        return [job for job in waiting if job not in delivered and self._redeliver(job, now)]

    def _redeliver(self, job_id: str, now: float) -> bool:
        status, attempt, _, priority = self._standing(job_id)
        if status is not Status.QUEUED:
            for queue in map(queued_key, PRIORITIES):
                self._redis.zrem(queue, job_id)
            return False
        self._delivery.forget(job_id, attempt)
        pipe = self._redis.pipeline()
        self._delivery.enqueue(job_id, attempt, pipe, priority=priority)
        pipe.zadd(queued_key(priority), {job_id: now}, xx=True)
        pipe.execute()
        return True
