"""The thread of a worker that has its live sessions."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import RedisError

from shared.errors import LonghandError
from worker.processes.batching import ChunkBatcher
from worker.sessions.engine_side import EngineGone, EngineSide
from worker.sessions.redis_side import RedisSide
from worker.sessions.session import HeldSession

_RENEW_S = 1.0
_GONE_S = 30.0
_CLAIM_EVERY_S = 0.25
_AGAIN_S = 0.5
_READ_EVERY_S = 0.05
_MOST_FAILURES = 2
_END_S = 10.0

_log = logging.getLogger(__name__)


@dataclass
class LiveCounts:
    """What the live lane has done so far: calls, sessions in them, steps of the model."""

    n_feeds: int = 0
    n_fed: int = 0
    n_steps: int = 0


class LiveHost:
    """
    Has the live sessions of one worker, in a thread of its own.

    Args:
        redis: A client that soon raises when Redis is away.
        capacity: How many sessions it takes at a time.

    Attributes:
        models: Models of which it takes sessions. The worker sets it, and `capacity`.
    """

    def __init__(self, redis: Redis, batcher: ChunkBatcher, worker: str, capacity: int = 0) -> None:
        self._redis = RedisSide(redis, worker)
        self._engine = EngineSide(batcher, self._renew)
        self._sessions: list[HeldSession] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)
        self._tried_at = 0.0
        self.models: Sequence[str] = ()
        self.capacity = capacity
        self.counts = LiveCounts()

    @property
    def n_held(self) -> int:
        """How many sessions it has."""
        return len(self._sessions)

    @property
    def is_stopping(self) -> bool:
        """Whether it takes no more sessions."""
        return self._stopping.is_set()

    def start(self) -> None:
        """Start to take sessions."""
        self._thread.start()

    def stop(self) -> None:
        """Give every session back, so that other workers go on with them at once."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_END_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._turn()
            except RedisError as error:
                _log.warning("live sessions wait for Redis: %s", error)
                self._stopping.wait(_AGAIN_S)
            except EngineGone:
                for session in self._sessions:
                    session.rewind()
                self._stopping.wait(_AGAIN_S)
            except Exception:
                _log.exception("live sessions failed; they are read again")
                for session in self._sessions:
                    session.rewind()
                self._stopping.wait(_AGAIN_S)
        self._give_back()

    def _turn(self) -> None:
        self._claim()
        if not self._sessions:
            if self.capacity and self.models:
                self._redis.wait_for_bell()
            else:
                self._stopping.wait(_AGAIN_S)
            return
        started = time.monotonic()
        self._renew()
        self._publish()
        pid = self._engine.pid
        for session in [s for s in self._sessions if s.lane_pid != pid or pid is None]:
            session.rewind()
            self._open(session)
        if ready := [s for s in self._sessions if not s.is_over]:
            self._redis.read(ready)
        self._feed()
        self._publish()
        self._stopping.wait(max(0.0, _READ_EVERY_S - (time.monotonic() - started)))

    def _claim(self) -> None:
        now = time.monotonic()
        if self._sessions and now - self._tried_at < _CLAIM_EVERY_S:
            return
        self._tried_at = now
        if len(self._sessions) < self.capacity and (found := self._redis.claim(self.models)):
            # A session that this worker lost without noticing would be there twice.
            self._sessions = [s for s in self._sessions if s.id != found.id]
            self._sessions.append(found)
            _log.info("live session %s taken, epoch %d", found.id, found.epoch)

    def _open(self, session: HeldSession) -> None:
        try:
            self._engine.open(session)
        except LonghandError as error:
            session.say_again(is_last=True, problem=str(error))
        else:
            session.say_again()

    def _feed(self) -> None:
        """Give the engine what has come: for all at once, but alone for those that failed."""
        ready = [s for s in self._sessions if s.entries and not s.is_over]
        together = [s for s in ready if not s.is_suspect]
        for group in [together, *([s] for s in ready if s.is_suspect)]:
            if group:
                self._feed_group(group)

    def _feed_group(self, group: list[HeldSession]) -> None:
        feeds = [session.feed() for session in group]
        try:
            answers = self._engine.feed(feeds)
        except (LonghandError, EngineGone) as error:
            self._failed(group, error)
            if isinstance(error, EngineGone):
                raise
            return
        self.counts.n_feeds += 1
        self.counts.n_fed += len(group)
        for session, answer, fed in zip(group, answers, feeds, strict=True):
            self.counts.n_steps += answer.n_steps
            session.take(answer, fed)

    def _failed(self, group: list[HeldSession], error: Exception) -> None:
        _log.error("%d live sessions failed together: %s", len(group), error)
        for session in group:
            session.rewind()
            session.is_suspect = True
            session.n_failures += len(group) == 1
            if session.n_failures >= _MOST_FAILURES:
                session.say_again(is_last=True, problem=f"the engine failed twice: {error}")

    def _renew(self) -> None:
        """Publish something for each session that has been quiet; also while the engine works."""
        late = time.monotonic() - _RENEW_S
        for session in self._sessions:
            if session.published_at < late and not session.waiting:
                session.say_again()
        try:
            for session in self._sessions:
                session.is_lost = session.is_lost or not self._redis.publish(session)
        except RedisError as error:
            # What waits is published later.
            _log.debug("nothing is published: %s", error)

    def _publish(self) -> None:
        """Publish what waits, and leave the sessions that are over, lost, or without a caller."""
        for session in list(self._sessions):
            session.is_lost = session.is_lost or not self._redis.publish(session)
            is_gone = session.gone_at is not None and time.monotonic() - session.gone_at > _GONE_S
            if is_gone and not session.is_lost:
                self._redis.forget(session)
            if session.is_lost or session.is_over or is_gone:
                self._sessions = [s for s in self._sessions if s is not session]
                self._engine.close(session)

    def _give_back(self) -> None:
        for session in self._sessions:
            try:
                if self._redis.publish(session):
                    self._redis.release(session)
            except RedisError as error:
                _log.warning("session %s waits for its lease to end: %s", session.id, error)
        self._sessions = []
