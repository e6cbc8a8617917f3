"""One live session: audio goes to Redis, updates of the worker come back."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from enum import Enum
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gateway.live.sessions.text import LiveText
from shared.keys import LIVE_AUDIO
from shared.live.request import LiveRequest
from shared.live.updates import LiveUpdate
from shared.live.wire import LIVE_TTL_S, SAMPLE_BYTES, AudioEntry

SAMPLE_RATE_HZ = 16_000

_LEAST_SENT_S = 0.05
"""Shorter audio waits for more: a caller may send single bytes."""

_MOST_SENT_S = 1.0
"""The longest audio in one entry."""

_AHEAD_S = 30.0
"""How far the audio may be ahead of the worker. A faster caller has to wait."""

_KEPT_S = 10.0
"""Audio that is kept here: Redis may forget its last seconds when it restarts."""

_MOST_WAITING = 512
"""Updates that may wait for a caller who reads slowly."""

_OUTAGE_S = 60.0
_AGAIN_S = 0.5


class Ending(Enum):
    """Why a session is over before its caller ended it."""

    IDLE = "no audio came for too long (LONGHAND_LIVE_IDLE_S)"
    TOO_LONG = "the session has reached its longest time (LONGHAND_LIVE_MAX_SESSION_S)"
    NO_WORKER = "no worker has taken up the session; connect again later"
    NO_REDIS = "Redis is away; connect again later"
    LOST = "the session was lost; connect again"
    SLOW = "you read too slowly"
    TAKEN_OVER = "the session goes on with another connection"
    STOPPED = "the service restarts; connect again"


class SessionOver(Exception):
    """A session is over before its caller ended it."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.value)
        self.ending = ending


class LiveSession:
    """
    A session that one caller holds.

    `text` is what was said so far. Only one task at a time may read `updates`.

    Args:
        outage_s: How long Redis may be away before the session is given up.

    Attributes:
        is_named: Whether the caller has named the session, and so can take it up again.
    """

    def __init__(
        self,
        redis: Redis,
        session_id: str,
        owner: str,
        request: LiveRequest,
        *,
        outage_s: float = _OUTAGE_S,
    ) -> None:
        self._redis, self._outage_s = redis, outage_s
        self.id, self.owner, self.request = session_id, owner, request
        self.resumed = self.is_named = False
        self.text = LiveText()
        self.is_slow = asyncio.Event()
        self.ending: Ending | None = None
        """Why it was ended here."""
        self.is_ended = False
        """Whether the worker has said its last."""
        self.is_claimed = False
        """Whether a worker has said anything."""
        self.is_ending = False
        """Whether no more audio comes."""
        self.opened_at = self.audio_at = self.update_at = time.monotonic()
        """When it was opened, when the caller last sent something, and the worker."""
        self._waiting: asyncio.Queue[LiveUpdate | Ending] = asyncio.Queue()
        self._progress = asyncio.Event()
        self._writing = asyncio.Lock()
        self._kept: deque[AudioEntry] = deque()
        self._held = b""
        self._n_samples = 0
        self._n_asked = 0
        self._n_flushes = 0

    def go_on(self, text: LiveText, n_samples: int) -> None:
        """
        Go on with a session whose connection broke.

        Args:
            text: What was said. Updates which came meanwhile may say some of it again.
            n_samples: Samples that are in Redis already.
        """
        text.heard_s = max(text.heard_s, self.text.heard_s)
        self.text, self._n_samples, self._n_flushes = text, n_samples, text.flushed
        self.resumed = self.is_named = self.is_claimed = True

    @property
    def received_s(self) -> float:
        """Seconds of audio that came from the caller."""
        return self._n_samples / SAMPLE_RATE_HZ

    async def send(self, pcm: bytes) -> None:
        """
        Take audio of the caller: 16-bit little-endian samples, mono, 16 kHz; of any length.

        Waits while the worker is too far behind.

        Raises:
            SessionOver: Redis was away for too long.
        """
        self.audio_at = time.monotonic()
        async with self._writing:
            self._held += pcm
            if len(self._held) >= _bytes(_LEAST_SENT_S):
                await self._send_held()

    async def flush(self) -> int:
        """Ask for all audio so far to be committed; see `LiveText.flushed` for the number."""
        self._n_flushes += 1
        await self._ask("flush")
        return self._n_flushes

    async def end(self) -> None:
        """Say that no more audio comes. The last update follows when all of it is committed."""
        self.is_ending = True
        await self._ask("end")

    def keep_alive(self) -> None:
        """Note that the caller is there, though no audio comes."""
        self.audio_at = time.monotonic()

    async def updates(self) -> AsyncIterator[LiveUpdate]:
        """
        Give each update, which `text` has taken in already. The last one has `is_last`.

        Raises:
            SessionOver: The session is over before that.
        """
        while True:
            item = await self._waiting.get()
            if isinstance(item, Ending):
                raise SessionOver(item)
            fresh = self.text.apply(item)
            yield fresh
            if item.is_last:
                return

    def take(self, item: LiveUpdate | Ending) -> None:
        """Queue an update, or the reason why the session is over."""
        if isinstance(item, LiveUpdate):
            self.update_at = time.monotonic()
            self.is_claimed = True
            self.is_ended = self.is_ended or item.is_last
            self.text.heard_s = max(self.text.heard_s, item.heard_s)
            self._progress.set()
        else:
            self.ending = item
        if self._waiting.qsize() >= _MOST_WAITING:
            self.is_slow.set()
            return
        self._waiting.put_nowait(item)

    async def heard_of(self, within_s: float) -> bool:
        """Wait for an update of a worker; returns whether one came in time."""
        try:
            await asyncio.wait_for(self._progress.wait(), within_s)
        except TimeoutError:
            return False
        return True

    async def _send_held(self) -> None:
        """Write whole samples of what is held; an odd byte stays."""
        n_bytes = len(self._held) // SAMPLE_BYTES * SAMPLE_BYTES
        pcm, self._held = self._held[:n_bytes], self._held[n_bytes:]
        step = _bytes(_MOST_SENT_S)
        for start in range(0, n_bytes, step):
            await self._wait_for_worker()
            part = pcm[start : start + step]
            self._n_samples += len(part) // SAMPLE_BYTES
            self._n_asked = 0
            await self._write(AudioEntry(self._n_samples, 0, part))

    async def _ask(self, ask: str) -> None:
        self.audio_at = time.monotonic()
        async with self._writing:
            await self._send_held()
            self._n_asked += 1
            await self._write(AudioEntry(self._n_samples, self._n_asked, ask=ask))

    async def _wait_for_worker(self) -> None:
        """Wait while the audio is too far ahead of the worker."""
        while self.received_s - self.text.heard_s > _AHEAD_S and not self.is_ended:
            self._progress.clear()
            await self._progress.wait()
            self.audio_at = time.monotonic()

    async def _write(self, entry: AudioEntry) -> None:
        """Write one entry. While Redis is away, try again; then write again what it forgot."""
        self._kept.append(entry)
        while self._kept[0].end < entry.end - _KEPT_S * SAMPLE_RATE_HZ:
            self._kept.popleft()
        deadline = time.monotonic() + self._outage_s
        try:
            await self._add([entry])
            return
        except (RedisConnectionError, RedisTimeoutError, OSError):
            pass
        while True:
            await asyncio.sleep(_AGAIN_S)
            try:
                await self._add_missing()
                return
            except (RedisConnectionError, RedisTimeoutError, OSError):
                if time.monotonic() > deadline:
                    self.ending = Ending.NO_REDIS
                    raise SessionOver(self.ending) from None

    async def _add_missing(self) -> None:
        newest: Any = await self._redis.xrevrange(LIVE_AUDIO.of(self.id), count=1)
        last = AudioEntry.read(*newest[0]) if newest else AudioEntry(0, 0)
        after = (last.end, last.number)
        await self._add([entry for entry in self._kept if (entry.end, entry.number) > after])

    async def _add(self, entries: list[AudioEntry]) -> None:
        key = LIVE_AUDIO.of(self.id)
        pipe = self._redis.pipeline(transaction=False)
        for entry in entries:
            pipe.xadd(key, entry.fields, id=entry.id)  # type: ignore[arg-type]
        pipe.expire(key, LIVE_TTL_S)
        for answer in await pipe.execute(raise_on_error=False):
            # An entry that came twice, since the answer to the first was lost, is refused.
            if isinstance(answer, Exception) and not isinstance(answer, ResponseError):
                raise answer


def _bytes(seconds: float) -> int:
    return int(seconds * SAMPLE_RATE_HZ) * SAMPLE_BYTES
