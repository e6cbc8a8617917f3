"""Every event is told once, though how a job stands may be told before it is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from journal import Journal

from gateway.live.events import Event, EventId
from gateway.live.listening import Subscription
from gateway.live.status import StatusReader
from gateway.live.tail import Tail, connect_tail

DEADLINE_S = 20

Act = Callable[[], object]


@asynccontextmanager
async def reading(tail: Tail) -> AsyncIterator[None]:
    """The tail reads within the block."""
    task = asyncio.create_task(tail.run())
    async with asyncio.timeout(DEADLINE_S):
        while not tail.is_up:
            await asyncio.sleep(0)
    yield
    while not task.done():  # a read that just begins may pass over being cancelled
        task.cancel()
        await asyncio.wait((task,), timeout=0.1)


@pytest.fixture
def hear_late(redis_url: str, journal: Journal) -> Callable[..., list[Event]]:
    """
    A function that lets somebody listen while the tail is behind, and returns what they hear.

    Args:
        before: What happens before they listen; the tail has read nothing of it.
        then: What happens after.
    """

    async def hear(
        job_id: str | None, before: Act, then: Act, n_events: int, after: str | None
    ) -> list[Event]:
        redis, since = connect_tail(redis_url), EventId.parse(after) if after else None
        tail = Tail(redis, max_listeners=1)
        status_reader = StatusReader(journal.redis, journal.jobs)
        async with reading(tail):
            pass
        before()
        listener = tail.open("local", job_id, after=since)
        first = status_reader.first(listener, since)
        then()
        subscription = Subscription(tail, status_reader, listener, first, keepalive_s=DEADLINE_S)
        heard: list[Event] = []
        async with reading(tail), asyncio.timeout(DEADLINE_S):
            async for item in subscription.events():
                assert isinstance(item, Event)
                heard.append(item)
                if len(heard) == n_events:
                    break
        await redis.aclose()
        return heard

    def run(
        job_id: str | None, before: Act, then: Act, *, n_events: int, after: str | None = None
    ) -> list[Event]:
        return asyncio.run(hear(job_id, before, then, n_events, after))

    return run


@pytest.mark.parametrize("listens_to_all", [False, True])
def test_what_led_to_how_a_job_stands_is_not_told_after_it(
    journal: Journal, hear_late: Callable[..., list[Event]], listens_to_all: bool
) -> None:
    job_id = journal.submit()
    ends: list[str] = []

    def before() -> None:
        journal.start(job_id)
        journal.report(job_id, 0.5)

    heard = hear_late(
        None if listens_to_all else job_id,
        before,
        lambda: ends.append(journal.cancel(job_id)),
        n_events=2,
    )

    assert ['"progress": 0.5' in heard[0].data, str(heard[1].id)] == [True, *ends]


def test_a_listener_who_comes_back_gets_all_of_an_ended_job_while_the_tail_is_behind(
    journal: Journal, hear_late: Callable[..., list[Event]]
) -> None:
    job_id = journal.submit()
    journal.start(job_id)
    last = journal.report(job_id, 0.1)
    said: list[str] = []

    def before() -> None:
        said.append(journal.say(job_id, "segments", index=0, segments=[]))
        said.append(journal.cancel(job_id))

    heard = hear_late(job_id, before, lambda: None, n_events=3, after=last)

    assert [str(event.id) for event in heard] == said
