"""
All RQ subclassing: one thread that pulls slips, and slots that run them.

Stock RQ pops from several queues with BLPOP, and a worker killed just then
loses the job for ever; it empties the first before it looks at the next; it
polls, heartbeats and cleans up in ways that take minutes to notice a dead
worker. So: a slip is moved, never popped, to a list beside its queue; `_TURNS`
says where each pull begins; an idle worker blocks on a bell that rings with
every slip; leases and lost slips are our own reaper's business.
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

_TURNS: tuple[tuple[Priority, ...], ...] = (
    *(PRIORITIES,) * 3,
    ("normal", "high", "low"),
    *(PRIORITIES,) * 3,
    ("low", "normal", "high"),
)
"""
Where each of eight pulls looks, in turn.

However long the backlog of urgent jobs is, an eighth of what is pulled is normal and an eighth low.
"""

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

    def prepare_job_execution(
        self,
        job: RqJob,
        remove_from_intermediate_queue: bool = True,
    ) -> None:
        """Take the slip off the list it was moved to; RQ does so for a worker of one queue only."""
        super().prepare_job_execution(job, remove_from_intermediate_queue=True)

    def get_heartbeat_ttl(self, job: RqJob) -> int:
        """How long RQ shows the slip as started; the true lease is `shared.jobs`'s."""
        return 3600


class Puller:
    """
    Pulls slips while a slot is free.

    Args:
        redis: A patient client, for the slots.
        pulling: One that soon gives up, so that stopping waits for no Redis; its socket timeout
            must exceed two seconds.
        run: Runs an attempt: job id, attempt.
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
        """Begin to take jobs."""
        for thread in (*self._slots, self._puller):
            thread.daemon = True
            thread.start()

    def stop(self) -> None:
        """Take no more jobs; those in hand go on."""
        self._stopping.set()
        # Wakes the puller, if no other worker hears it first; without it two seconds pass.
        threading.Thread(target=self._ring, daemon=True).start()

    def _ring(self) -> None:
        with suppress(Exception):  # nobody waits for it, and the client may be closed meanwhile
            self._pulling.lpush(BELL, 1)

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
            # The slot may have been freed by the job that stopping waited for.
            slip = None if self._stopping.is_set() else self._next_slip()
            if slip is None:
                self._free.release()
            else:
                self._handed.put(slip)
        for _ in self._slots:
            self._handed.put(None)

    def _next_slip(self) -> tuple[SlipQueue, str] | None:
        """A slip's queue and its id; None if there was none for two seconds."""
        try:
            for priority in _TURNS[self._n_pulled % len(_TURNS)]:
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
                # It waits in a more urgent queue by now, or its hash expired: then the reaper
                # writes a new slip if the job waits.
                if slip is None:
                    self._redis.lrem(pulled_from.intermediate_queue_key, 1, slip_id)
                    continue
                slip.run = self._run
                worker.execute_job(slip, pulled_from)
            except Exception:
                # The job's own record is what counts; its lease runs out if it was not ended.
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
