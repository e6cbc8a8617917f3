"""The moves of a worker's live sessions in Redis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from redis import Redis

from shared.keys import LIVE_AUDIO, LIVE_BELL, LIVE_SESSION
from shared.live.wire import CLAIM, PUBLISH, RELEASE, AudioEntry, as_record
from worker.sessions.held import HeldSession

LEASE_S = 4
"""A worker that has not published for so long loses the session to another one."""

_ENTRIES_AT_ONCE = 100


class Claims:
    """
    Claims sessions, reads their audio, publishes what they say, and gives them back.

    Args:
        worker: The name of the worker.
    """

    def __init__(self, redis: Redis, worker: str) -> None:
        self._redis = redis
        self._worker = worker
        self._claim = redis.register_script(CLAIM)
        self._publish = redis.register_script(PUBLISH)
        self._release = redis.register_script(RELEASE)

    def claim(self, models: Sequence[str]) -> HeldSession | None:
        """
        Claim a session that waits, or whose worker is lost; None if there is none.

        Args:
            models: Those that this worker can run; empty for any.
        """
        found: Any = self._claim(args=[self._worker, LEASE_S, *models])
        if not found:
            return None
        session_id = found[0].decode()
        record = as_record(self._redis.hgetall(LIVE_SESSION.of(session_id)))
        return HeldSession.claimed(session_id, int(found[1]), record) if record else None

    def wait_for_bell(self, timeout_s: float) -> None:
        """Wait until a session wants a worker."""
        self._redis.blpop([LIVE_BELL], timeout=timeout_s)

    def read(self, sessions: Sequence[HeldSession], timeout_s: float) -> None:
        """Wait for audio of some sessions, and give it to them."""
        by_key = {LIVE_AUDIO.of(held.id).encode(): held for held in sessions}
        places: Any = {key: held.read for key, held in by_key.items()}
        answer: Any = self._redis.xread(places, count=_ENTRIES_AT_ONCE, block=int(timeout_s * 1000))
        # A list (RESP2) or a mapping (RESP3) of streams.
        streams = answer.items() if isinstance(answer, Mapping) else (answer or [])
        for key, entries in streams:
            flat = entries[0] if entries and isinstance(entries[0], list) else entries
            for entry_id, fields in flat:
                by_key[key].take(AudioEntry.read(entry_id, fields))

    def publish(self, held: HeldSession) -> int:
        """
        Publish the oldest update of a session.

        Returns:
            -1 if another worker has the session, 0 if its gateway.live is gone, else 1.
        """
        waiting = held.updates[0]
        update = waiting.update
        is_kept = bool(update.committed or update.ends)
        answer: Any = self._publish(
            args=[
                held.id, held.epoch, LEASE_S, update.model_dump_json(), int(is_kept),
                waiting.record, waiting.position, int(update.is_last),
            ]
        )  # fmt: skip
        held.updates.popleft()
        return int(answer)

    def give_back(self, held: HeldSession) -> None:
        """Let another worker claim a session."""
        self._release(args=[held.id, held.epoch])
