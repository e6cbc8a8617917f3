"""Live sessions as protocols use them: `gateway.live.sessions` on a real Redis."""

from __future__ import annotations

import asyncio

import pytest
from opened_sessions import REQUEST, SECOND
from redis import Redis
from scripted_worker import utterance, words

from gateway.live.sessions.session import Ending, SessionOver
from shared.errors import Busy, TooManyRequests
from shared.keys import LIVE_SESSION, LIVE_SESSIONS


def test_what_a_worker_says_becomes_segments_and_words(run, start_worker):
    def script(claimed, entry):
        if entry.ask == "end":
            return [utterance("It is over", 1.0, claimed.n_words)]
        if entry.end == 16_000:
            return [utterance("Good morning", 0.0), {"tail": words("it", 1.0)}]
        return []

    start_worker(script)

    async def test(live):
        session = await live.open("ann", REQUEST)
        await session.send(SECOND)
        tails = []
        await session.end()
        async for update in session.updates():
            tails.append("".join(word.text for word in update.tail))
        assert [segment.text for segment in session.text.segments] == ["Good morning", "It is over"]
        assert session.text.segments[1].start == 1.0
        assert " it" in tails
        assert session.text.tail == session.text.open_words == ()
        assert session.is_ended

    run(test)


def test_words_that_are_said_again_count_once(run, start_worker):
    def script(claimed, entry):
        if entry.ask != "end":
            return []
        said = utterance("one two three", 0.0)
        return [
            {"committed": words("one two", 0.0)},
            said | {"n_before": 0},
            said | {"n_before": 0},
        ]

    start_worker(script)

    async def test(live):
        session = await live.open("ann", REQUEST)
        await session.end()
        fresh = [len(update.committed) async for update in session.updates()]
        assert [segment.text for segment in session.text.segments] == ["one two three"]
        assert [n for n in fresh if n] == [2, 1]

    run(test)


def test_single_bytes_arrive_as_they_were_sent(run, start_worker):
    worker = start_worker()

    async def test(live):
        session = await live.open("ann", REQUEST)
        sent = bytes(range(256)) * 20 + b"\7\7"
        for n in range(len(sent)):
            await session.send(sent[n : n + 1])
        await session.end()
        claimed = worker.session()
        async for _ in session.updates():
            pass
        assert claimed.pcm == sent
        assert claimed.asks == ["end"]

    run(test)


def test_a_flush_is_done_when_its_number_comes_back(run, start_worker):
    start_worker()

    async def test(live):
        session = await live.open("ann", REQUEST)
        await session.flush()
        number = await session.flush()
        async for _ in session.updates():
            if session.text.flushed >= number:
                break

    run(test)


def test_a_caller_who_is_far_ahead_of_the_worker_waits(run, start_worker):
    worker = start_worker()

    async def test(live):
        session = await live.open("ann", REQUEST)
        worker.reads.clear()
        sending = asyncio.create_task(session.send(SECOND * 45))
        while session.received_s < 30:
            await asyncio.sleep(0.01)
        done, _ = await asyncio.wait((sending,), timeout=0.5)
        assert not done
        assert session.received_s <= 32
        worker.reads.set()
        await sending
        assert session.received_s == 45

    run(test)


def test_without_a_worker_that_takes_sessions_the_caller_is_told(run, start_worker):
    start_worker(capacity=0)

    async def test(live):
        with pytest.raises(Busy, match="no running worker takes live sessions"):
            await live.open("ann", REQUEST)

    run(test)


def test_a_session_that_no_worker_claims_is_refused_and_leaves_nothing(
    run, start_worker, redis_url
):
    start_worker(claims=False)

    async def test(live):
        with pytest.raises(Busy, match="no worker is free") as refused:
            await live.open("ann", REQUEST)
        assert refused.value.retry_after_s

    run(test)
    with Redis.from_url(redis_url) as redis:
        assert redis.zcard(LIVE_SESSIONS) == 0
        assert redis.keys(LIVE_SESSION.of("*")) == []


def test_an_owner_has_only_so_many_sessions(run, start_worker):
    start_worker()

    async def test(live):
        await live.open("ann", REQUEST)
        with pytest.raises(TooManyRequests, match="LONGHAND_LIVE_SESSIONS_PER_OWNER"):
            await live.open("ann", REQUEST)
        await live.open("bob", REQUEST)

    run(test, live_sessions_per_owner=1)


def test_a_full_site_refuses_unless_a_caller_is_gone(run, start_worker):
    start_worker(capacity=1)

    async def test(live):
        first = await live.open("ann", REQUEST)
        with pytest.raises(Busy, match="all 1 live sessions"):
            await live.open("bob", REQUEST)
        live.following.leave(first)
        await live.open("bob", REQUEST)

    run(test)


@pytest.mark.parametrize(
    ("changed", "ending"),
    [({"live_idle_s": 1}, Ending.IDLE), ({"live_max_session_s": 1}, Ending.TOO_LONG)],
)
def test_a_session_does_not_last_longer_than_the_site_allows(run, start_worker, changed, ending):
    start_worker()

    async def test(live):
        session = await live.open("ann", REQUEST)
        with pytest.raises(SessionOver) as over:
            async for _ in session.updates():
                pass
        assert over.value.ending is ending

    run(test, **changed)
