"""Counts jobs that wait, run and ended, and live connections; finds a job's place in the queue."""

from __future__ import annotations

from typing import Any

from redis import Redis

from shared.keys import LEASES, LIVE_ENDED, QUEUED, TOTALS
from shared.records import PRIORITIES, Priority


class Figures:
    """The figures of a site's jobs. While jobs that share a run wait, they count as one."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def counts(self) -> dict[str, int]:
        """How many jobs wait, as `queued`, and how many run, as `running`."""
        pipe = self._redis.pipeline(transaction=False)
        for priority in PRIORITIES:
            pipe.zcard(QUEUED.of(priority))
        pipe.zcard(LEASES)
        *queued, running = pipe.execute()
        return {"queued": sum(queued), "running": running}

    def queue_position(self, job_id: str) -> int | None:
        """
        Where a job stands among those that wait, from 1; None if it does not wait.

        Those of a higher priority are counted before it; some of them may be served after it.
        """
        pipe = self._redis.pipeline(transaction=False)
        for priority in PRIORITIES:
            pipe.zrank(QUEUED.of(priority), job_id)
            pipe.zcard(QUEUED.of(priority))
        reply = pipe.execute()
        before = 0
        for rank, n_jobs in zip(reply[::2], reply[1::2], strict=True):
            if rank is not None:
                return int(before + rank + 1)
            before += n_jobs
        return None

    def depths(self) -> dict[Priority, tuple[int, float | None]]:
        """How many jobs of each priority wait, and since when the first does."""
        pipe = self._redis.pipeline(transaction=False)
        for priority in PRIORITIES:
            pipe.zcard(QUEUED.of(priority))
            pipe.zrange(QUEUED.of(priority), 0, 0, withscores=True)
        reply = pipe.execute()
        heads = [head[0][1] if head else None for head in reply[1::2]]
        return dict(zip(PRIORITIES, zip(reply[::2], heads, strict=True), strict=True))

    def totals(self) -> dict[str, float]:
        """What was counted since Redis was new, by name: `jobs:succeeded`, `cache_hits` …"""
        reply: Any = self._redis.hgetall(TOTALS)
        return {name.decode(): float(value) for name, value in reply.items()}

    def live_ended(self) -> dict[str, float]:
        """How many connections of live sessions have ended since Redis was new, by why."""
        reply: Any = self._redis.hgetall(LIVE_ENDED)
        return {name.decode(): float(value) for name, value in reply.items()}
