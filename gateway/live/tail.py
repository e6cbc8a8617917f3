"""Reads the Redis stream of events once, and gives each event to all who listen for it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.live.events import BEGINNING, Event, EventId, read_entry
from shared.errors import Busy
from shared.keys import EVENTS, EVENTS_KEPT

_BLOCK_S = 5.0
_QUEUE_LENGTH = 256
# Listeners empty their queues between two reads, so one read must not fill a queue.
_AT_ONCE = _QUEUE_LENGTH // 4
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_RETRY_S = 5

_log = logging.getLogger(__name__)


class Signal(Enum):
    """What a listener may be sent beside events."""

    LOST = "events were lost: send the present status"
    SLOW = "the caller reads too slowly"
    STOPPED = "the program ends"


@dataclass(eq=False)
class Listener:
    """
    Somebody who listens, to one job or to all jobs of an owner.

    Attributes:
        position: The last event that the listener knows. Events up to this one are skipped when
            they come through `queue`.
        missed: Events since the caller last listened; None if they are not known.
        has_heard_end: Whether the last event that the caller got was the end of their job.
        lost_after: The last event before a gap; None when the present status was sent since.
        is_slow: Set when `queue` overflowed.
    """

    owner: str
    job: str | None
    position: EventId
    missed: list[Event] | None = None
    has_heard_end: bool = False
    lost_after: EventId | None = None
    queue: asyncio.Queue[Event | Signal] = field(
        default_factory=lambda: asyncio.Queue(_QUEUE_LENGTH)
    )
    is_slow: asyncio.Event = field(default_factory=asyncio.Event)

    def wants(self, event: Event) -> bool:
        """Whether an event is for this listener."""
        return event.owner == self.owner and self.job in (None, event.job)

    def tell(self, item: Event | Signal) -> None:
        """Queue an item. A listener whose queue is full is told to connect again."""
        if self.queue.full():
            while not self.queue.empty():
                self.queue.get_nowait()
            item = Signal.STOPPED if item is Signal.STOPPED else Signal.SLOW
            self.is_slow.set()
        self.queue.put_nowait(item)


class Tail:
    """
    The newest events of the stream, and those who listen for more.

    Every method except `run` runs without an await, so no event is lost between those that a
    listener gets first and those that its queue brings.

    Args:
        redis: A client whose socket timeout is longer than a read that blocks.
        max_listeners: More are refused.
    """

    def __init__(self, redis: Redis, *, max_listeners: int) -> None:
        self._redis = redis
        self._max_listeners = max_listeners
        self._kept: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self._listeners: set[Listener] = set()
        self._is_stopped = False
        self.position = BEGINNING
        self.is_up = False

    def count(self, owner: str) -> int:
        """How many of an owner listen."""
        return sum(listener.owner == owner for listener in self._listeners)

    def open(self, owner: str, job: str | None, *, after: EventId | None) -> Listener:
        """
        Begin to listen.

        Args:
            job: The only job of interest; None for all of the owner's.
            after: The last event that the caller got; None if they got none.

        Raises:
            Busy: Redis is away, or there are too many listeners.
        """
        if not self.is_up or self._is_stopped:
            raise Busy("events cannot be read at the moment; try again", retry_after_s=_RETRY_S)
        if len(self._listeners) >= self._max_listeners:
            raise Busy(
                f"{self._max_listeners} listeners are here already (LONGHAND_LIVE_MAX_LISTENERS); "
                "try again, or poll the job",
                retry_after_s=_RETRY_S,
            )
        listener = Listener(owner, job, self.position)
        if after is not None and self._holds_all_after(after):
            wanted = [event for event in self._kept if listener.wants(event)]
            listener.missed = [event for event in wanted if event.id > after]
            heard = [e for e in wanted if e.id <= after and e.kind == "job"]
            listener.has_heard_end = bool(heard) and heard[-1].is_final
        self._listeners.add(listener)
        return listener

    def close(self, listener: Listener) -> None:
        """Stop listening."""
        self._listeners.discard(listener)

    def stop(self) -> None:
        """Disconnect every listener, and take no more."""
        self._is_stopped = True
        self._tell_all(Signal.STOPPED)

    async def run(self) -> None:
        """
        Read until stopped or cancelled; while Redis is away, try again.

        A read that is just beginning ignores its cancelling (redis-py 8, Python 3.11), so
        `_is_stopped` is checked before each read.
        """
        pause_s = _FIRST_PAUSE_S
        while not self._is_stopped:
            try:
                await self._catch_up()
                pause_s = _FIRST_PAUSE_S
                while not self._is_stopped:
                    await self._read()
            except (RedisError, OSError) as error:
                if self.is_up:
                    _log.warning("events cannot be read, Redis is away: %s", error)
                self.is_up = False
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _holds_all_after(self, after: EventId) -> bool:
        """Whether every event after this one is still kept."""
        first = self._kept[0].id if self._kept else self.position
        return first <= after <= self.position

    async def _catch_up(self) -> None:
        """After connecting: go on after the last event read, or start again if it was dropped."""
        at = str(self.position)
        if self.position == BEGINNING or not await self._redis.xrange(EVENTS, at, at):
            before = self.position
            newest: Any = await self._redis.xrevrange(EVENTS, count=EVENTS_KEPT)
            self._kept.clear()
            for event in readable(reversed(newest)):
                self._kept.append(event)
            if newest:
                self.position = max(self.position, EventId.parse(newest[0][0].decode()))
            if self._listeners:
                _log.warning("events were lost; listeners are sent the status of their jobs")
            for listener in self._listeners:
                listener.lost_after = listener.lost_after or before
                listener.position = self.position
            self._tell_all(Signal.LOST)
        if not self.is_up:
            _log.info("events are read from %s on", self.position)
        self.is_up = True

    async def _read(self) -> None:
        """Wait for events, and give them to listeners."""
        answer: Any = await self._redis.xread(
            {EVENTS: str(self.position)}, count=_AT_ONCE, block=int(_BLOCK_S * 1000)
        )
        # A list (RESP2) or a mapping (RESP3) of streams; we read one.
        streams = answer.items() if isinstance(answer, Mapping) else (answer or [])
        for _name, entries in streams:
            flat = entries[0] if entries and isinstance(entries[0], list) else entries
            for event in readable(flat):
                self._kept.append(event)
                for listener in self._listeners:
                    if listener.wants(event):
                        listener.tell(event)
            if flat:
                self.position = EventId.parse(flat[-1][0].decode())
        await asyncio.sleep(0)  # listeners empty their queues now

    def _tell_all(self, signal: Signal) -> None:
        for listener in self._listeners:
            listener.tell(signal)


def readable(entries: Iterable[tuple[bytes, Mapping[bytes, bytes]]]) -> Iterable[Event]:
    """The entries that are events of ours; a newer program may write others."""
    for entry_id, fields in entries:
        try:
            yield read_entry(entry_id, fields)
        except (KeyError, ValueError) as error:
            _log.warning("event %s is ignored: %r", entry_id.decode(), error)


def connect_tail(url: str) -> Redis:
    """A client for `Tail`. Its timeout is longer than a blocking read, so an outage is noticed."""
    return Redis.from_url(url, socket_connect_timeout=2, socket_timeout=_BLOCK_S + 5, retry=None)
