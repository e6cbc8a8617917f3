"""Callers who wait for a job on an open connection, and jobs whose callers went away."""

from __future__ import annotations

from redis import Redis

from shared.connections import as_texts, redis_time
from shared.keys import ABANDONED, KNOWN, READERS

_KNOWN_S = 24 * 3600
"""As long as an Idempotency-Key is kept."""

_SIGN_LASTS_S = 10
"""A caller who did not sign for so long counts as gone, since their gateway died."""


class Callers:
    """
    Who still waits for a job, and which jobs nobody waits for.

    Several callers wait for one job only if they sent the same Idempotency-Key. Each signs under a
    name of its own.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def sign(self, job_id: str, name: str) -> None:
        """Note that a caller still waits; to be repeated well within ten seconds."""
        readers, now = READERS.of(job_id), redis_time(self._redis)
        pipe = self._redis.pipeline()
        pipe.zadd(readers, {name: now + _SIGN_LASTS_S})
        pipe.expire(readers, _SIGN_LASTS_S)
        # An earlier caller's hang-up may be noticed late.
        pipe.zrem(ABANDONED, job_id)
        pipe.execute()

    def sign_off(self, job_id: str, name: str) -> bool:
        """Note that a caller is gone; returns whether no other waits for the job or has its id."""
        readers, now = READERS.of(job_id), redis_time(self._redis)
        pipe = self._redis.pipeline()
        pipe.zrem(readers, name)
        pipe.zcount(readers, now, "+inf")
        pipe.exists(KNOWN.of(job_id))
        _, n_others, is_known = pipe.execute()
        return not n_others and not is_known

    def hand_out(self, job_id: str) -> None:
        """Note that a caller has the job's id; so it is not cancelled when connections end."""
        self._redis.set(KNOWN.of(job_id), 1, ex=_KNOWN_S)
        self.keep(job_id)

    def abandon(self, job_id: str, after_s: float) -> None:
        """Have a job cancelled after some time, unless `keep` is called before."""
        self._redis.zadd(ABANDONED, {job_id: redis_time(self._redis) + after_s})

    def keep(self, *job_ids: str) -> None:
        """Take back `abandon`."""
        self._redis.zrem(ABANDONED, *job_ids)

    def abandoned(self) -> list[str]:
        """The jobs whose time is over, the first of them first."""
        return as_texts(self._redis.zrangebyscore(ABANDONED, 0, redis_time(self._redis)))
