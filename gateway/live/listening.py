"""One caller who listens: who they are, what they missed, and what they are sent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from gateway.access.callers import Access, refuse_untrusted_page
from gateway.access.origins import Origins
from gateway.answering.shapes.events import EventsQuery
from gateway.live.events import Event, EventId
from gateway.live.status import StatusReader
from gateway.live.tail import Listener, Signal, Tail
from shared.errors import InvalidRequest, JobNotFound, TooManyRequests

_SLOW_GRACE_S = 5
_RETRY_S = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Subscription:
    """
    What one caller is sent: `first`, then every new event.

    Attributes:
        keepalive_s: Seconds without an event after which `events` gives None.
    """

    tail: Tail
    status_reader: StatusReader
    listener: Listener
    first: list[Event]
    keepalive_s: float

    async def events(self) -> AsyncIterator[Event | Signal | None]:
        """
        Give each event; None after a silence; at last a `Signal`, if one ended the listening.

        If the listener listens to one job, the events end with the job.
        """
        try:
            async for item in self._events():
                yield item
                is_last = isinstance(item, Event) and item.is_final and self.listener.job
                if is_last or isinstance(item, Signal):
                    return
        finally:
            self.close()

    async def _events(self) -> AsyncIterator[Event | Signal | None]:
        for event in self.first:
            yield event
        queue = self.listener.queue
        while True:
            try:
                # Queued events are sent without waiting: each wait takes turns of the event loop,
                # in which a burst would fill the queue.
                item = queue.get_nowait() if queue.qsize() else await self._next()
            except TimeoutError:
                yield None
                continue
            if isinstance(item, Event) and item.id <= self.listener.position:
                continue  # they know it from `first`
            if item is not Signal.LOST:
                yield item
                continue
            since, self.listener.lost_after = self.listener.lost_after, None
            try:
                fresh = await run_in_threadpool(self.status_reader.now, self.listener, since)
            except (RedisError, JobNotFound) as error:
                _log.warning("a listener has to connect again: %s", error)
                yield Signal.LOST
                return
            for event in fresh:
                yield event

    async def _next(self) -> Event | Signal:
        return await asyncio.wait_for(self.listener.queue.get(), self.keepalive_s)

    async def serve(self, sending: Coroutine[Any, Any, None]) -> None:
        """
        Run the sending to the caller, and stop listening when it ends.

        A caller who reads nothing would block the sending for ever. So it is ended some seconds
        after their queue overflowed. They may connect again and name the last event that they got.
        """
        sent = asyncio.create_task(sending)
        slow = asyncio.create_task(self.listener.is_slow.wait())
        try:
            await asyncio.wait((sent, slow), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((sent,), timeout=_SLOW_GRACE_S)
        finally:
            slow.cancel()
            sent.cancel()
            self.close()
        with suppress(asyncio.CancelledError):
            await sent

    def close(self) -> None:
        """Stop listening."""
        self.tail.close(self.listener)


@dataclass(frozen=True)
class Listening:
    """
    Lets callers listen.

    Attributes:
        max_per_owner: How many listeners one user, or one key, may have at once.
    """

    tail: Tail
    status_reader: StatusReader
    access: Access
    origins: Origins
    keepalive_s: float
    max_per_owner: int

    async def begin(self, caller: HTTPConnection, job_id: str | None) -> Subscription:
        """
        Let a caller listen to one job, or to all of theirs.

        Raises:
            Unauthorized, Forbidden: They may not.
            InvalidRequest, JobNotFound: The query is not possible, or there is no such job.
            TooManyRequests, Busy: They may later.
            NothingLeft: There will be no more events.
        """
        query = _read_query(caller)
        owner = self._admit(caller, query.token)
        named = caller.headers.get("Last-Event-ID") or query.last_event_id
        after = EventId.parse(named) if named else None
        listener = self.tail.open(owner, job_id, after=after)
        try:
            first = await run_in_threadpool(self.status_reader.first, listener, after)
        except BaseException:
            self.tail.close(listener)
            raise
        return Subscription(self.tail, self.status_reader, listener, first, self.keepalive_s)

    def _admit(self, asking: HTTPConnection, token: str | None) -> str:
        """The owner whose events the caller may be sent."""
        # A page of any site may open a WebSocket here, with the password that the browser knows,
        # and read it. So it is checked like a request that changes something.
        method = "POST" if asking.scope["type"] == "websocket" else asking.scope["method"]
        self.origins.refuse_foreign(method, asking.headers)
        peer = asking.client.host if asking.client else None
        caller = self.access.identify(headers=asking.headers, peer=peer, token=token)
        refuse_untrusted_page(caller, self.origins, method, asking.headers)
        # Unknown callers share one owner and are many: they have no limit.
        if caller.is_known and self.tail.count(caller.owner) >= self.max_per_owner:
            raise TooManyRequests(
                f"{self.max_per_owner} listeners of yours are here already "
                "(LONGHAND_LIVE_MAX_PER_OWNER); listen to /events for all of your jobs",
                retry_after_s=_RETRY_S,
            )
        return caller.owner


def _read_query(caller: HTTPConnection) -> EventsQuery:
    for name in caller.query_params:
        if name not in EventsQuery.model_fields:
            known = ", ".join(EventsQuery.model_fields)
            raise InvalidRequest(f"{name[:50]!r} is not known here; known are: {known}", param=name)
        if len(caller.query_params.getlist(name)) > 1:
            raise InvalidRequest(f"{name!r} was given twice", param=name)
    last = caller.query_params.get("last_event_id") or None
    if last:
        EventId.parse(last)  # refuses one that `EventsQuery` would find too long
    return EventsQuery(last_event_id=last, token=caller.query_params.get("token"))
