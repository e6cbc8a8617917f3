"""
All RQ subclassing: one thread that pulls slips, and slots that run them.

Stock RQ pops from several queues with BLPOP, and a worker killed just then
loses the job for ever; it polls, heartbeats and cleans up in ways that take
minutes to notice a dead worker. So: a slip is moved, never popped, to a list
beside the queue; an idle worker blocks on a bell that rings with every slip;
leases and lost slips are our own reaper's business.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.intermediate_queue import IntermediateQueue
from rq.job import Job as RqJob
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty

from shared.delivery import BELL, QUEUE, Slip

_BELL_WAIT_S = 2
_AGAIN_S = 1.0

_log = logging.getLogger(__name__)


class SlipQueue(Queue):
    """The queue of slips, without RQ's signals, which only a main thread may set."""

    death_penalty_class = TimerDeathPenalty


class SlotWorker(SimpleWorker):
    """RQ's book-keeping of one slip, in a thread."""

    death_penalty_class = TimerDeathPenalty
    queue_class = SlipQueue

    def procline(self, message: str) -> None:
        """Leave the process's title alone: many slots share it."""

    def get_heartbeat_ttl(self, job: RqJob) -> int:
        """How long RQ shows the slip as started; the true lease is `shared.jobs`'s."""
        return 3600


class Puller:
    """
    Pulls slips while a slot is free.

    Args:
        redis: A patient client; its socket timeout must exceed five seconds.
        run: Runs an attempt: job id, attempt.
    """

    def __init__(
        self, redis: Redis, run: Callable[[str, int], None], *, n_slots: int, name: str
    ) -> None:
        self._redis = redis
        self._run = run
        self._stopping = threading.Event()
        self._free = threading.Semaphore(n_slots)
        self._handed: queue.SimpleQueue[Slip | None] = queue.SimpleQueue()
        self._queue = SlipQueue(QUEUE, connection=redis, serializer=JSONSerializer, job_class=Slip)
        self._pulled_key = IntermediateQueue.get_intermediate_queue_key(self._queue.key)
        self._slots = [
            threading.Thread(target=self._serve, args=(f"{name}-{i}",), name=f"slot-{i}")
            for i in range(n_slots)
        ]
        self._puller = threading.Thread(target=self._pull, name="puller")

    def start(self) -> None:
        """Begin to take jobs."""
        for thread in (*self._slots, self._puller):
            thread.daemon = True
            thread.start()

    def stop(self) -> None:
        """Take no more jobs; those in hand go on."""
        self._stopping.set()
        with suppress(RedisError, OSError):
            self._redis.lpush(BELL, 1)  # wakes the puller, if no other worker hears it first

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the jobs in hand; False if some still run after `timeout_s`."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        for thread in (self._puller, *self._slots):
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._slots)

    def _pull(self) -> None:
        while not self._stopping.is_set():
            if not self._free.acquire(timeout=_AGAIN_S):
                continue
            slip = self._next_slip()
            if slip is None:
                self._free.release()
            else:
                self._handed.put(slip)
        for _ in self._slots:
            self._handed.put(None)

    def _next_slip(self) -> Slip | None:
        """Wait a few seconds at most for a slip."""
        try:
            moved: Any = self._redis.lmove(self._queue.key, self._pulled_key)
            if moved is None:
                self._redis.blpop([BELL], timeout=_BELL_WAIT_S)
                return None
            slip = cast(Slip | None, self._queue.fetch_job(moved.decode()))
            if slip is None:  # its hash expired; the reaper writes a new slip if the job waits
                self._redis.lrem(self._pulled_key, 1, moved)
            return slip
        except (RedisError, OSError) as error:
            _log.warning("Redis is away, pulling waits: %s", error)
        except Exception:
            _log.exception("a slip could not be pulled")
        self._stopping.wait(_AGAIN_S)
        return None

    def _serve(self, name: str) -> None:
        worker: SlotWorker | None = None
        while (slip := self._handed.get()) is not None:
            try:
                if worker is None:
                    worker = SlotWorker(
                        [self._queue],
                        name=name,
                        connection=self._redis,
                        serializer=JSONSerializer,
                        job_class=Slip,
                        log_job_description=False,
                    )
                slip.run = self._run
                worker.execute_job(slip, self._queue)
            except Exception:
                # The job's own record is what counts; its lease runs out if it was not ended.
                _log.exception("slip %s was not closed", slip.id)
            finally:
                self._free.release()
