"""The index of the jobs that ended, for retention and for those who listen to events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from redis import Redis

from shared.jobs.index_scripts import MARK_AUDIO_REMOVED
from shared.keys import ENDED, JOB, RUN, RUN_JOBS
from shared.records import Status

_AT_ONCE = 500


@dataclass(frozen=True)
class EndedJob:
    """
    A job that ended, by its index and a part of its record.

    Attributes:
        ended_at: In seconds since the epoch.
        status: None if Redis has no record of it.
        has_audio: False after retention removed its audio.
    """

    id: str
    ended_at: float
    status: Status | None
    has_audio: bool


class EndedJobs:
    """The index of a site's jobs that ended."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._mark = redis.register_script(MARK_AUDIO_REMOVED)

    def between(self, since: float, until: float) -> Iterator[EndedJob]:
        """Jobs that ended within a time, the earliest first."""
        found: Any = self._redis.zrangebyscore(ENDED, since, until, withscores=True)
        left = ((job_id.decode(), ended_at) for job_id, ended_at in found)
        while part := list(islice(left, _AT_ONCE)):
            pipe: Any = self._redis.pipeline(transaction=False)
            for job_id, _ in part:
                pipe.hmget(JOB.of(job_id), "status", "audio_removed_at")
            for (job_id, ended_at), (status, removed_at) in zip(part, pipe.execute(), strict=True):
                known = Status(status.decode()) if status else None
                yield EndedJob(job_id, ended_at, known, has_audio=not removed_at)

    def newest(self, since: float, most: int) -> list[str]:
        """Ids of the newest jobs that ended since a time, in the order of their ends."""
        ids: Any = self._redis.zrevrangebyscore(ENDED, "+inf", since, start=0, num=most)
        return [job_id.decode() for job_id in reversed(ids)]

    def holds(self, job_id: str) -> bool:
        """Whether a job is in the index; Redis may have lost it."""
        return self._redis.zscore(ENDED, job_id) is not None

    def is_shared(self, job_id: str) -> bool:
        """Whether others still wait for the run that began with a job."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.hget(RUN.of(job_id), "status")
        pipe.scard(RUN_JOBS.of(job_id))
        status, n_jobs = pipe.execute()
        return bool(n_jobs or (status and not Status(status.decode()).is_final))

    def mark_audio_removed(self, job_id: str, at: float) -> bool | None:
        """
        Note that a job's audio is removed; then the job cannot be tried again.

        Returns:
            Whether it was noted; False if the audio is still needed; None if Redis has no record of
            the job.
        """
        if not self._redis.exists(JOB.of(job_id)):
            return None
        keys = [JOB.of(job_id), RUN.of(job_id), RUN_JOBS.of(job_id)]
        return bool(self._mark(keys=keys, args=[round(at, 3)]))
