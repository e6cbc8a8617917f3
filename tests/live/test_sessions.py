"""Live sessions as protocols use them: `gateway.live.sessions` on a real Redis."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager

import pytest
from redis import Redis
from scripted_worker import ScriptedWorker, utterance, words

from cli.redis_server import free_port
from gateway.access.callers import Access
from gateway.access.origins import Origins
from gateway.live.sessions.following import Following, Patience
from gateway.live.sessions.opening import Clients, LiveSessions
from gateway.live.sessions.session import Ending, LiveSession, SessionOver
from gateway.live.tail import connect_tail
from gateway.settings import GatewaySettings
from shared.connections import connect_briefly
from shared.errors import Busy, InvalidRequest, TooManyRequests
from shared.keys import LIVE_AUDIO, LIVE_SESSION, LIVE_SESSIONS
from shared.live.request import LiveRequest
from shared.live.wire import RELEASE

SECOND = b"\1\0" * 16_000
REQUEST = LiveRequest(model="demo")
NAME = "mine-0123456789abcdef"


@pytest.fixture
def run(redis_url, storage_dir):
    """Run a test, which takes `LiveSessions`, in an event loop."""

    @asynccontextmanager
    async def opened(**changed):
        settings = GatewaySettings(
            redis_url=redis_url, storage_dir=storage_dir, default_model="demo", **changed
        )
        clients = Clients(connect_briefly(redis_url), connect_tail(redis_url),
                          connect_tail(redis_url))  # fmt: skip
        access = Access(settings, host="127.0.0.1")
        live = LiveSessions(settings, clients, access, Origins(()))
        task = asyncio.create_task(live.following.run())
        try:
            yield live
        finally:
            live.stop()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            for client in (clients.asked, clients.read):
                await client.aclose()
            clients.blocking.close()

    def run(test, **changed):
        async def whole():
            async with opened(**changed) as live:
                await asyncio.wait_for(test(live), 30)

        asyncio.run(whole())

    return run


@pytest.fixture
def start_worker(redis_url):
    """Start a scripted worker; its arguments are those of `ScriptedWorker`."""
    started = []

    def start(*arguments, **more):
        started.append(ScriptedWorker(redis_url, *arguments, **more))
        return started[-1]

    yield start
    for worker in started:
        worker.stop()


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
