"""
What RQ is used for: it delivers slips.

A slip `{run id}-{attempt}` says that an attempt at a run waits for a worker. It
may expire, be lost or be repeated without harm: `Runs.claim` lets one worker
through, and the reaper writes new slips. So RQ's retries, results and callbacks
are not used, and what RQ stores may be lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from redis import Redis
from redis.client import Pipeline
from rq import Queue
from rq.job import Job as RqJob
from rq.serializers import JSONSerializer

from shared.connections import as_texts
from shared.keys import BELL
from shared.records import Priority

RUN_JOB = "worker.job.run_job"
"""The only function that a slip may name."""

QUEUES: dict[Priority, str] = {"high": "longhand-high", "normal": "longhand", "low": "longhand-low"}
"""RQ's queue of each priority, the most urgent first."""

_BELLS_KEPT = 256
_FAILED_SLIP_TTL_S = 3600


class Slip(RqJob):
    """A delivery slip. It calls no function but the one that its worker was built with."""

    run: Callable[[str, int], None] | None = None

    @property
    def func(self) -> Callable[[str], None]:
        """The worker's own function. A slip that names another one raises ValueError."""
        if self.func_name != RUN_JOB or self.run is None:
            raise ValueError(f"a slip names {self.func_name!r}; only {RUN_JOB} may run")
        run, attempt = self.run, slip_attempt(self.id)
        return lambda job_id: run(job_id, attempt)

    @property
    def success_callback(self) -> None:
        """None: no name in Redis is imported."""

    failure_callback = stopped_callback = success_callback

    def send_webhooks(self, *_args: object, **_options: object) -> None:
        """Do nothing: no address in Redis is called."""


def slip_id(job_id: str, attempt: int) -> str:
    """The id of the slip for one attempt."""
    return f"{job_id}-{attempt}"


def slip_attempt(slip: str) -> int:
    """The attempt a slip is for."""
    return int(slip.rpartition("-")[2])


class Delivery:
    """Writes slips, and lists those that wait."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._queues = {
            priority: Queue(
                name,
                connection=redis,
                serializer=JSONSerializer,
                job_class=Slip,
                default_timeout=-1,
            )
            for priority, name in QUEUES.items()
        }

    def enqueue(
        self,
        job_id: str,
        attempt: int,
        pipe: Pipeline | None = None,
        *,
        priority: Priority = "normal",
    ) -> None:
        """
        Add a slip and ring the bell, within `pipe` if one is given.

        RQ insists on being first in a pipeline: call this before adding other commands.
        """
        own = pipe if pipe is not None else self._redis.pipeline()
        queue = self._queues[priority]
        slip = queue.create_job(
            RUN_JOB,
            args=(job_id,),
            job_id=slip_id(job_id, attempt),
            result_ttl=0,
            failure_ttl=_FAILED_SLIP_TTL_S,
            timeout=-1,
        )
        queue.enqueue_job(slip, pipeline=own)
        own.lpush(BELL, 1)
        own.ltrim(BELL, 0, _BELLS_KEPT - 1)
        if pipe is None:
            own.execute()

    def forget(self, job_id: str, attempt: int) -> None:
        """Remove the traces of a slip whose worker died; RQ would keep them for ever."""
        slip = slip_id(job_id, attempt)
        pipe = self._redis.pipeline()
        pipe.delete(RqJob.key_for(slip))
        for queue in self._queues.values():
            pipe.lrem(queue.intermediate_queue_key, 0, slip)
            for registry in (queue.started_job_registry, queue.failed_job_registry):
                pipe.zremrangebyscore(registry.key, 0, time.time())
        pipe.execute()

    def waiting_runs(self) -> set[str]:
        """Ids of the runs that have a slip in a queue."""
        pipe = self._redis.pipeline()
        for queue in self._queues.values():
            pipe.lrange(queue.key, 0, -1)
        slips = [slip for reply in pipe.execute() for slip in as_texts(reply)]
        return {slip.rpartition("-")[0] for slip in slips}
