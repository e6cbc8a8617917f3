"""Live sessions whose caller, worker or Redis is away for a while."""

from __future__ import annotations

import asyncio
import threading

import pytest
from opened_sessions import NAME, REQUEST, SECOND
from redis import Redis
from scripted_worker import utterance, words

from cli.redis_server import free_port
from gateway.live.sessions.following import Following, Patience
from gateway.live.sessions.session import Ending, LiveSession, SessionOver
from gateway.live.tail import connect_tail
from shared.errors import InvalidRequest
from shared.keys import LIVE_AUDIO, LIVE_SESSIONS
from shared.live.wire import RELEASE


def test_a_caller_who_connects_again_finds_what_was_said(run, start_worker):
    def script(claimed, entry):
        return [utterance("Good morning", 0.0)] if entry.end == 16_000 else []

    worker = start_worker(script)

    async def test(live):
        session = await live.open("ann", REQUEST, NAME)
        await session.send(SECOND)
        async for _ in session.updates():
            if session.text.segments:
                break
        live.following.leave(session)
        with pytest.raises(InvalidRequest):
            await live.resume("bob", session.id)

        again = await live.resume("ann", session.id)
        assert [segment.text for segment in again.text.segments] == ["Good morning"]
        assert again.received_s == 1.0
        await again.send(SECOND)
        claimed = worker.session()
        await again.end()
        async for _ in again.updates():
            pass
        assert claimed.pcm == SECOND * 2

    run(test)


def test_a_caller_who_names_their_session_finds_it_again(run, start_worker):
    worker = start_worker(
        lambda claimed, entry: [utterance("Good morning", 0.0)] if entry.pcm else []
    )

    async def test(live):
        first = await live.open("ann", REQUEST, NAME)
        await first.send(SECOND)
        async for _ in first.updates():
            if first.text.segments:
                break
        live.following.leave(first)
        again = await live.open("ann", REQUEST, NAME)
        assert (again.id, again.resumed) == (NAME, True)
        assert [segment.text for segment in again.text.segments] == ["Good morning"]
        assert len(worker.sessions) == 1
        with pytest.raises(InvalidRequest, match="session"):
            await live.open("bob", REQUEST, NAME)
        with pytest.raises(InvalidRequest, match="session: 16 to 64"):
            await live.open("ann", REQUEST, "short")

    run(test)


def test_a_connection_whose_session_is_taken_up_elsewhere_is_told(run, start_worker):
    start_worker()

    async def test(live):
        session = await live.open("ann", REQUEST)
        await live.resume("ann", session.id)
        with pytest.raises(SessionOver) as over:
            async for _ in session.updates():
                pass
        assert over.value.ending is Ending.TAKEN_OVER

    run(test)


@pytest.mark.parametrize("name", [None, NAME])
def test_a_session_whose_caller_does_not_come_back_is_ended(run, start_worker, redis_url, name):
    worker = start_worker()

    async def test(live):
        session = await live.open("ann", REQUEST, name)
        live.following.leave(session)
        while worker.sessions:
            await asyncio.sleep(0.05)

    # Without a name nobody could come back, so nobody is waited for.
    run(test, live_resume_s=0.5 if name else 100)
    with Redis.from_url(redis_url) as redis:
        assert redis.zcard(LIVE_SESSIONS) == 0


def test_no_word_is_lost_while_a_caller_connects_again(run, start_worker):
    worker = start_worker()

    async def test(live):
        session = await live.open("ann", REQUEST, NAME)
        claimed = worker.session()
        is_over, n_heard = threading.Event(), 0

        def speak():
            while not is_over.is_set():
                if claimed.n_words - n_heard > 100:  # a caller who is far behind is sent away
                    is_over.wait(0.001)
                    continue
                worker.say(claimed, committed=words(f"w{claimed.n_words}", claimed.n_words))

        speaking = threading.Thread(target=speak)
        speaking.start()
        for _ in range(40):
            session = await live.resume("ann", NAME)
            n_heard = session.text.n_words
            async for update in session.updates():
                n_heard = session.text.n_words
                if update.committed:
                    break
        is_over.set()
        await asyncio.to_thread(speaking.join)
        await session.end()
        async for _ in session.updates():
            pass
        said = [word.text for word in session.text.open_words]
        assert said == [f" w{n}" for n in range(claimed.n_words)]
        assert len(said) > 40

    run(test)


def test_a_session_is_given_up_if_redis_stays_away():
    async def test():
        redis = connect_tail(f"redis://127.0.0.1:{free_port()}/0")
        session = LiveSession(redis, NAME, "ann", REQUEST, outage_s=0.2)
        with pytest.raises(SessionOver) as over:
            await session.send(SECOND)
        await redis.aclose()
        assert over.value.ending is session.ending is Ending.NO_REDIS

    asyncio.run(test())


def test_a_session_is_idle_though_redis_is_away():
    async def test():
        redis = connect_tail(f"redis://127.0.0.1:{free_port()}/0")
        following = Following(redis, "here", Patience(idle_s=0.2, session_s=100, resume_s=0))
        session = LiveSession(redis, NAME, "ann", REQUEST)
        following.add(session)
        reading = asyncio.create_task(following.run())
        with pytest.raises(SessionOver) as over:
            async for _ in session.updates():
                pass
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await redis.aclose()
        assert over.value.ending is Ending.IDLE

    asyncio.run(asyncio.wait_for(test(), 30))


def test_what_redis_forgot_is_written_again(run, start_worker, redis_url):
    worker = start_worker()

    async def test(live):
        session = await live.open("ann", REQUEST)
        worker.reads.clear()
        await session.send(SECOND)
        key = LIVE_AUDIO.of(session.id)
        with Redis.from_url(redis_url) as redis:
            before = redis.xrange(key)
            redis.delete(key)
            await session._add_missing()
            assert redis.xrange(key) == before
            await session._add_missing()
            assert redis.xrange(key) == before

    run(test)


def test_another_worker_goes_on_with_a_session(run, start_worker, redis_url):
    def first(claimed, entry):
        return [utterance("Good morning", 0.0)] if entry.end == 16_000 else []

    one = start_worker(first)

    async def test(live):
        session = await live.open("ann", REQUEST)
        await session.send(SECOND)
        updates = session.updates()
        async for _ in updates:
            if session.text.segments:
                break
        one.stop()
        with Redis.from_url(redis_url) as redis:
            assert redis.register_script(RELEASE)(args=[session.id, 1]) == 1
        two = start_worker()
        claimed = await asyncio.to_thread(two.session)
        assert claimed.epoch == 2
        await session.end()
        async for update in updates:
            assert not update.committed
        assert [segment.text for segment in session.text.segments] == ["Good morning"]

    run(test)
