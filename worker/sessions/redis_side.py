"""Live sessions in Redis, as a worker moves them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from redis import Redis

from shared.keys import LIVE_AUDIO, LIVE_BELL, LIVE_SESSION
from shared.live.wire import CLAIM, FORGET, PUBLISH, RELEASE, AudioEntry, as_record
from worker.sessions.session import HeldSession

LEASE_S = 5
"""How long a claim holds without an update. After a worker's death another one waits so long."""

_BELL_S = 1
_BLOCK_MS = 200
_MOST_ENTRIES = 40


class RedisSide:
    """
    Claims sessions for one worker, reads their audio and publishes what they say.

    Every method raises `RedisError` while Redis is away.
    """

    def __init__(self, redis: Redis, worker: str) -> None:
        self._redis, self._worker = redis, worker
        self._claim = redis.register_script(CLAIM)
        self._publish = redis.register_script(PUBLISH)
        self._release = redis.register_script(RELEASE)
        self._forget = redis.register_script(FORGET)

    def claim(self, models: Sequence[str]) -> HeldSession | None:
        """Claim a session for one of these models; None if none waits."""
        if not models:
            return None
        found: Any = self._claim(args=[self._worker, LEASE_S, *models])
        if not found:
            return None
        session_id = found[0].decode()
        record = as_record(self._redis.hgetall(LIVE_SESSION.of(session_id)))
        if "request" not in record:  # it ended meanwhile
            return None
        return HeldSession.claimed(session_id, int(found[1]), record)

    def wait_for_bell(self) -> None:
        """Wait until a session is opened or given back, at most about a second."""
        self._redis.blpop([LIVE_BELL], timeout=_BELL_S)

    def read(self, sessions: Sequence[HeldSession]) -> None:
        """Read the audio of all sessions; wait a little if there is none."""
        by_key = {LIVE_AUDIO.of(session.id): session for session in sessions}
        starts: dict[Any, Any] = {key: "{}-{}".format(*s.read_to) for key, s in by_key.items()}
        answer: Any = self._redis.xread(starts, count=_MOST_ENTRIES, block=_BLOCK_MS)
        streams = answer.items() if isinstance(answer, dict) else answer
        for name, entries in streams:
            flat = entries[0] if entries and isinstance(entries[0], list) else entries
            by_key[name.decode()].read(AudioEntry.read(*entry) for entry in flat)

    def publish(self, session: HeldSession) -> bool:
        """
        Publish what waits.

        Returns:
            Whether the session is still this worker's.
        """
        while session.waiting:
            said = session.waiting[0]
            update = said.update
            arguments: list[str | int] = [
                session.id, session.epoch, LEASE_S, update.model_dump_json(),
                int(bool(update.committed or update.ends)), said.state, said.position,
                int(update.is_last),
            ]  # fmt: skip
            answer = int(self._publish(args=arguments))
            session.waiting.popleft()
            session.published_at = time.monotonic()
            if answer < 0:
                return False
            is_served = answer > 0
            session.gone_at = None if is_served else session.gone_at or time.monotonic()
        return True

    def release(self, session: HeldSession) -> None:
        """Give a session back: another worker goes on with it."""
        self._release(args=[session.id, session.epoch])

    def forget(self, session: HeldSession) -> None:
        """Remove a session whose caller is gone."""
        self._forget(args=[session.id])
