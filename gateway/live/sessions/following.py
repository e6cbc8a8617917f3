"""Reads the updates of all sessions of this gateway.live, and looks after the sessions."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.live.sessions.session import Ending, LiveSession
from shared.keys import LIVE_ENDED, LIVE_GATEWAY, LIVE_UPDATES
from shared.live.updates import LiveUpdate
from shared.live.wire import FORGET, GATEWAY_TTL_S, TOUCH

_BLOCK_S = 1.0
_AT_ONCE = 200
_TICK_S = 1.0
_SIGN_EVERY_S = 4.0
_PAUSE_S = 0.3
_NO_WORKER_S = 60.0
_ENDING_S = 20.0
"""How long a worker may take to end a session whose caller is gone."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """
    How long sessions are kept.

    Attributes:
        idle_s: Without anything from the caller.
        session_s: In all.
        resume_s: After the caller's connection broke.
    """

    idle_s: float
    session_s: float
    resume_s: float


class Following:
    """
    The sessions that this program serves.

    Args:
        redis: A client whose socket timeout is longer than a read that blocks.
        name: The name of this program, in Redis.
    """

    def __init__(self, redis: Redis, name: str, patience: Patience) -> None:
        self._redis = redis
        self.name = name
        self._patience = patience
        self._sessions: dict[str, LiveSession] = {}
        self._left: dict[str, float] = {}
        """Sessions without a caller, by when they are given up."""

        self._endings: Counter[str] = Counter()
        """Sessions that callers have left, by why; not yet in Redis."""

        self._position = "0-0"
        self._signed_at = 0.0
        self._touch = redis.register_script(TOUCH)
        self._forget = redis.register_script(FORGET)
        self.is_stopped = False

    def add(self, session: LiveSession) -> None:
        """Follow a session. If another connection holds it, that one is told to leave."""
        before = self._sessions.get(session.id)
        if before is not None:
            before.take(Ending.TAKEN_OVER)
        self._left.pop(session.id, None)
        self._sessions[session.id] = session

    def leave(self, session: LiveSession) -> None:
        """The caller's connection is gone. For some time a named session can be taken up again."""
        self._endings[_why(session)] += 1
        if self._sessions.get(session.id) is not session:
            return
        if session.is_ended:
            del self._sessions[session.id]
        else:
            waits_s = self._patience.resume_s if session.is_named else 0.0
            self._left[session.id] = time.monotonic() + waits_s

    async def forget(self, session: LiveSession) -> None:
        """Remove a session that nobody will take up."""
        self._sessions.pop(session.id, None)
        self._left.pop(session.id, None)
        await self._forget(args=[session.id])

    async def make_room(self) -> bool:
        """End the session whose caller has been gone for longest; False if there is none."""
        for session_id in sorted(self._left, key=lambda name: self._left[name]):
            await self.forget(self._sessions[session_id])
            return True
        return False

    @property
    def n_served(self) -> int:
        """How many sessions callers hold."""
        return len(self._sessions) - len(self._left)

    def stop(self) -> None:
        """Tell every caller that the program ends."""
        self.is_stopped = True
        for session in self._sessions.values():
            session.take(Ending.STOPPED)

    async def run(self) -> None:
        """Read updates and look after sessions, until cancelled."""
        ticking = asyncio.create_task(self._tick_always())
        try:
            while not self.is_stopped:
                try:
                    await self._read()
                except (RedisError, OSError) as error:
                    _log.warning("updates cannot be read, Redis is away: %s", error)
                    await asyncio.sleep(_PAUSE_S)
        finally:
            ticking.cancel()

    async def sign(self) -> None:
        """Say in Redis that this program is there."""
        await self._redis.set(LIVE_GATEWAY.of(self.name), "1", ex=GATEWAY_TTL_S)
        self._signed_at = time.monotonic()

    async def _read(self) -> None:
        answer: Any = await self._redis.xread(
            {LIVE_UPDATES.of(self.name): self._position},
            count=_AT_ONCE,
            block=int(_BLOCK_S * 1000),
        )
        # A list (RESP2) or a mapping (RESP3) of streams; we read one.
        streams = answer.items() if isinstance(answer, Mapping) else (answer or [])
        for _name, entries in streams:
            flat = entries[0] if entries and isinstance(entries[0], list) else entries
            for entry_id, fields in flat:
                self._position = entry_id.decode()
                self._give(fields)
        await asyncio.sleep(0)  # sessions send their updates now

    def _give(self, fields: Mapping[bytes, bytes]) -> None:
        session = self._sessions.get(fields[b"id"].decode())
        if session is None:
            return
        try:
            update = LiveUpdate.model_validate_json(fields[b"update"])
        except ValidationError as error:
            _log.warning("an update is ignored: %s", error)
            return
        session.take(update)
        if update.is_last and session.id in self._left:
            self._sessions.pop(session.id)
            self._left.pop(session.id)

    async def _tick_always(self) -> None:
        while True:
            try:
                await self._tick()
            except (RedisError, OSError):
                pass  # the reading says so
            except Exception:
                _log.exception("sessions are not looked after")
            await asyncio.sleep(_TICK_S)

    async def _tick(self) -> None:
        now = time.monotonic()
        held = [s for s in self._sessions.values() if s.id not in self._left]
        for session in held:  # first: while Redis is away, the rest fails
            if (ending := self._ending(session, now)) is not None:
                session.take(ending)
        await self.tell_endings()
        sign = now - self._signed_at > _SIGN_EVERY_S
        if sign:
            await self.sign()
        for session in list(self._sessions.values()):
            if session.id in self._left:
                await self._end_left(session, now)
            elif sign and await self._is_lost(session):
                session.take(Ending.LOST)

    async def tell_endings(self) -> None:
        """Add to what `/metrics` counts; with Redis away, later."""
        for why, n in list(self._endings.items()):
            await self._redis.hincrby(LIVE_ENDED, why, n)
            self._endings[why] -= n
        self._endings = +self._endings

    async def _is_lost(self, session: LiveSession) -> bool:
        if session.is_ended or not session.is_claimed:
            return False
        return not await self._touch(args=[session.id])

    def _ending(self, session: LiveSession, now: float) -> Ending | None:
        if session.is_ended:
            return None
        if now - session.opened_at > self._patience.session_s:
            return Ending.TOO_LONG
        if now - session.update_at > _NO_WORKER_S:
            return Ending.NO_WORKER
        if now - session.audio_at > self._patience.idle_s and not session.is_ending:
            return Ending.IDLE
        return None

    async def _end_left(self, session: LiveSession, now: float) -> None:
        late_s = now - self._left[session.id]
        if late_s > _ENDING_S:
            await self.forget(session)
        elif late_s > 0 and not session.is_ending:
            await session.end()
        else:
            await self._touch(args=[session.id])


def _why(session: LiveSession) -> str:
    """Why a caller's connection has ended, for `/metrics`."""
    if session.is_slow.is_set():
        return Ending.SLOW.name.lower()
    if session.ending is not None:
        return session.ending.name.lower()
    return "done" if session.is_ended else "disconnected"
