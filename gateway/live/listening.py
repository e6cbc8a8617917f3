"""One caller who listens: who he is, what he has missed, and what he is told from then on."""

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

from gateway.access.callers import Access, refuse_lent
from gateway.access.origins import Origins
from gateway.answering.shapes.events import EventsQuery
from gateway.live.events import Event, EventId
from gateway.live.standing import Standing
from gateway.live.tail import Listener, Signal, Tail
from shared.errors import InvalidRequest, JobNotFound, TooManyRequests

_SLOW_GRACE_S = 5
_RETRY_S = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hearing:
    """
    What one caller is told: `first`, then all that comes.

    Attributes:
        keepalive_s: How long there may be silence.
    """

    tail: Tail
    standing: Standing
    listener: Listener
    first: list[Event]
    keepalive_s: float

    async def events(self) -> AsyncIterator[Event | Signal | None]:
        """
        Give each event; None when there was silence; at last why it ends, if not by an event.

        A listener to one job has heard all when its job has ended.
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
                # What is there already is told at once: to wait for each takes turns of the loop,
                # in which a burst would fill the queue.
                item = queue.get_nowait() if queue.qsize() else await self._next()
            except TimeoutError:
                yield None
                continue
            if isinstance(item, Event) and item.id <= self.listener.position:
                continue  # it is in what he was told at first
            if item is not Signal.LOST:
                yield item
                continue
            since, self.listener.lost_after = self.listener.lost_after, None
            try:
                fresh = await run_in_threadpool(self.standing.now, self.listener, since)
            except (RedisError, JobNotFound) as error:
                _log.warning("a listener has to come back: %s", error)
                yield Signal.LOST
                return
            for event in fresh:
                yield event

    async def _next(self) -> Event | Signal:
        return await asyncio.wait_for(self.listener.queue.get(), self.keepalive_s)

    async def serve(self, telling: Coroutine[Any, Any, None]) -> None:
        """
        Run what tells the caller, and stop listening when it ends.

        A caller who reads nothing at all would keep it for ever: some time after there was
        more to tell than is kept for one, it is ended. He may come back and name the last
        event that he got.
        """
        told = asyncio.create_task(telling)
        slow = asyncio.create_task(self.listener.is_slow.wait())
        try:
            await asyncio.wait((told, slow), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((told,), timeout=_SLOW_GRACE_S)
        finally:
            slow.cancel()
            told.cancel()
            self.close()
        with suppress(asyncio.CancelledError):
            await told

    def close(self) -> None:
        """Stop listening."""
        self.tail.close(self.listener)


@dataclass(frozen=True)
class Listening:
    """
    Lets callers listen.

    Attributes:
        max_per_owner: How many of one user, or of one key, may listen at once.
    """

    tail: Tail
    standing: Standing
    access: Access
    origins: Origins
    keepalive_s: float
    max_per_owner: int

    async def begin(self, caller: HTTPConnection, job_id: str | None) -> Hearing:
        """
        Let a caller listen, to one job or to all of his.

        Raises:
            Unauthorized, Forbidden, InvalidRequest, JobNotFound: He may not, or there is no such.
            TooManyRequests, Busy: He may later.
            NothingLeft: There is nothing more to hear.
        """
        query = _read_query(caller)
        owner = self._admit(caller, query.token)
        told = caller.headers.get("Last-Event-ID") or query.last_event_id
        after = EventId.parse(told) if told else None
        listener = self.tail.open(owner, job_id, after=after)
        try:
            first = await run_in_threadpool(self.standing.first, listener, after)
        except BaseException:
            self.tail.close(listener)
            raise
        return Hearing(self.tail, self.standing, listener, first, self.keepalive_s)

    def _admit(self, asking: HTTPConnection, token: str | None) -> str:
        """The owner of what is to be heard, if he may hear it."""
        # A page of any site may open a WebSocket here, with the password that a browser knows,
        # and read it: that counts as changing something.
        method = "POST" if asking.scope["type"] == "websocket" else asking.scope["method"]
        self.origins.refuse_foreign(method, asking.headers)
        peer = asking.client.host if asking.client else None
        caller = self.access.identify(headers=asking.headers, peer=peer, token=token)
        refuse_lent(caller, self.origins, method, asking.headers)
        # Those whom nobody names are one owner, and many.
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
    return EventsQuery(
        last_event_id=caller.query_params.get("last_event_id", "")[:41] or None,
        token=caller.query_params.get("token"),
    )
