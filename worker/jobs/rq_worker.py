"""
All RQ subclassing: one thread that pulls slips, and slots that run them.

RQ itself is not enough. It pops from several queues with BLPOP, and a worker that is killed at that
moment loses the job for ever. It empties the first queue before it looks at the next. It takes
minutes to notice a dead worker. So here a slip is moved, never popped, to a list beside its queue;
`_PULL_ORDERS` says which queue each pull looks at first; an idle worker blocks on a bell, which
rings with every slip; leases and lost slips are left to our own reaper.
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
from rq.job import Job as RqJob
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty

from shared.delivery import QUEUES, Slip
from shared.keys import BELL
from shared.records import PRIORITIES, Priority

_BELL_WAIT_S = 2
_AGAIN_S = 1.0

_PULL_ORDERS: tuple[tuple[Priority, ...], ...] = (
    *(PRIORITIES,) * 3,
    ("normal", "high", "low"),
    *(PRIORITIES,) * 3,
    ("low", "normal", "high"),
)
"""
The order in which each of eight pulls looks at the queues; the ninth is like the first.

However many urgent jobs wait, one pull in eight takes a normal job and one a low job.
"""

_log = logging.getLogger(__name__)


class SlipQueue(Queue):
    """A queue of slips, without RQ's signals: only a main thread may set those."""

    death_penalty_class = TimerDeathPenalty


class SlotWorker(SimpleWorker):
    """RQ's own work on one slip, in a thread."""

    death_penalty_class = TimerDeathPenalty
    queue_class = SlipQueue

    def procline(self, message: str) -> None:
        """Do not set the title of the process: many slots share it."""

    def prepare_job_execution(
        self,
        job: RqJob,
        remove_from_intermediate_queue: bool = True,
    ) -> None:
        """Remove the slip from the list it was moved to; RQ does so only for a single queue."""
        super().prepare_job_execution(job, remove_from_intermediate_queue=True)

    def get_heartbeat_ttl(self, job: RqJob) -> int:
        """How long RQ shows the slip as started; the lease that counts is in `shared.jobs`."""
        return 3600


class Puller:
    """
    Pulls slips while a slot is free.

    Args:
        redis: A client with long timeouts, for the slots.
        pulling: A client with short timeouts, so that stopping does not wait for Redis. Its socket
            timeout must be more than two seconds.
        run: Makes an attempt at a job; takes the job's id and the attempt.
    """

    def __init__(
        self,
        redis: Redis,
        run: Callable[[str, int], None],
        *,
        pulling: Redis,
        n_slots: int,
        name: str,
    ) -> None:
        self._redis = redis
        self._pulling = pulling
        self._run = run
        self._stopping = threading.Event()
        self._free = threading.Semaphore(n_slots)
        self._handed: queue.SimpleQueue[tuple[SlipQueue, str] | None] = queue.SimpleQueue()
        self._queues = {
            priority: SlipQueue(name, connection=redis, serializer=JSONSerializer, job_class=Slip)
            for priority, name in QUEUES.items()
        }
        self._n_pulled = 0
        self._slots = [
            threading.Thread(target=self._serve, args=(f"{name}-{i}",), name=f"slot-{i}")
            for i in range(n_slots)
        ]
        self._puller = threading.Thread(target=self._pull, name="puller")

    def start(self) -> None:
        """Start to take jobs."""
        for thread in (*self._slots, self._puller):
            thread.daemon = True
            thread.start()

    def stop(self) -> None:
        """Take no more jobs; the running ones go on."""
        self._stopping.set()
        # Wakes the puller, unless another worker takes the ring; then it wakes after two seconds.
        threading.Thread(target=self._ring, daemon=True).start()

    def _ring(self) -> None:
        with suppress(Exception):  # it is not needed, and the client may be closed already
            self._pulling.lpush(BELL, 1)

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the running jobs; False if some still run after `timeout_s`."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        for thread in (self._puller, *self._slots):
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._slots)

    def _pull(self) -> None:
        while not self._stopping.is_set():
            if not self._free.acquire(timeout=_AGAIN_S):
                continue
            # `stop` may have been called while this waited for the slot.
            slip = None if self._stopping.is_set() else self._next_slip()
            if slip is None:
                self._free.release()
            else:
                self._handed.put(slip)
        for _ in self._slots:
            self._handed.put(None)

    def _next_slip(self) -> tuple[SlipQueue, str] | None:
        """The next slip's queue and id; None if none came within two seconds."""
        try:
            for priority in _PULL_ORDERS[self._n_pulled % len(_PULL_ORDERS)]:
                waiting = self._queues[priority]
                moved: Any = self._pulling.lmove(waiting.key, waiting.intermediate_queue_key)
                if moved is not None:
                    self._n_pulled += 1
                    return waiting, str(moved.decode())
            self._pulling.blpop([BELL], timeout=_BELL_WAIT_S)
            return None
        except (RedisError, OSError) as error:
            _log.warning("Redis is away, pulling waits: %s", error)
        except Exception:
            _log.exception("a slip could not be pulled")
        self._stopping.wait(_AGAIN_S)
        return None

    def _serve(self, name: str) -> None:
        worker: SlotWorker | None = None
        while (handed := self._handed.get()) is not None:
            pulled_from, slip_id = handed
            try:
                worker = worker or self._make_worker(name)
                slip = cast(Slip | None, pulled_from.fetch_job(slip_id))
                # The slip was moved to a more urgent queue, or its hash expired. In the second case
                # the reaper writes a new slip if the job still waits.
                if slip is None:
                    self._redis.lrem(pulled_from.intermediate_queue_key, 1, slip_id)
                    continue
                slip.run = self._run
                worker.execute_job(slip, pulled_from)
            except Exception:
                # Only the job's own record counts. If it was not ended its lease runs out.
                _log.exception("slip %s was not closed", slip_id)
            finally:
                self._free.release()

    def _make_worker(self, name: str) -> SlotWorker:
        return SlotWorker(
            list(self._queues.values()),
            name=name,
            connection=self._redis,
            serializer=JSONSerializer,
            job_class=Slip,
            log_job_description=False,
        )
