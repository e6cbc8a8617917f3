"""The thread that serves live sessions: real Redis, and an engine process that a test plays."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from redis import Redis
from waiting import wait_until

from shared.errors import EngineFailed, ModelNotFound
from shared.keys import LIVE_AUDIO, LIVE_GATEWAY, LIVE_SESSION, LIVE_SESSIONS, LIVE_UPDATES
from shared.live.updates import LiveUpdate, LiveWord
from shared.live.wire import OPEN, AudioEntry
from worker.live.messages import LiveAnswer
from worker.processes.lanes import ChildDied
from worker.sessions.claims import Claims
from worker.sessions.host import Patience, SessionHost

SECOND = b"\1\0" * 16_000


@dataclass
class Engine:
    """
    Stands for `ChunkBatcher`: each second of audio is a word.

    Attributes:
        faults: What the next calls of a method raise, by method.
    """

    engine_pid: int = 1
    status: object = None
    faults: dict[str, list[Exception]] = field(default_factory=dict)
    opened: dict[str, str | None] = field(default_factory=dict)
    n_words: dict[str, int] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)

    def live_call(self, method, *args, stall_s, check):
        self.calls.append(method)
        check()
        if faults := self.faults.get(method):
            raise faults.pop(0)
        return getattr(self, method)(*args)

    def open(self, session_id, request, state):
        self.opened[session_id] = state
        self.n_words[session_id] = json.loads(state)["n"] if state else 0

    def feed(self, feed):
        if feed.session_id not in self.opened:
            return None
        before = self.n_words[feed.session_id]
        end = feed.start + len(feed.pcm) // 2
        words = tuple(
            LiveWord(text=f" w{n}", start=n, end=n + 1, probability=1.0)
            for n in range(before, end // 16_000)
        )
        self.n_words[feed.session_id] = before + len(words)
        update = LiveUpdate(seq=0, heard_s=end / 16_000, n_before=before, committed=words)
        state = json.dumps({"n": before + len(words)})
        return LiveAnswer(feed.session_id, update, state, end, 1)

    def close(self, session_id):
        del self.opened[session_id]

    def die(self):
        """Be replaced by a process that has no session."""
        self.engine_pid += 1
        self.opened.clear()


@pytest.fixture
def engine():
    return Engine(status=SimpleNamespace(loaded=("demo",)))


@pytest.fixture
def start(redis_url, engine):
    """A function that starts a host."""
    started = []

    def start(*, capacity=4, load=engine.loads.append, orphan_s=30.0):
        redis = Redis.from_url(redis_url)
        claims = Claims(redis, f"w{len(started)}")
        host = SessionHost(
            claims,
            engine,
            capacity=capacity,
            models=lambda: ("demo",),
            load=load,
            patience=Patience(10, orphan_s),
        )
        started.append((host, redis))
        host.start()
        return host

    yield start
    for host, redis in started:
        host.stop()
        redis.close()


class Caller:
    """What gateway.live does, by hand."""

    def __init__(self, redis):
        self.redis = redis
        redis.set(LIVE_GATEWAY.of("g"), "1")
        self.n_sent = {}

    def open(self, name="s", model="demo"):
        request = json.dumps({"model": model})
        self.redis.register_script(OPEN)(args=[name, "ann", request, model, "g", 99, 99])
        self.n_sent[name] = 0

    def send(self, name="s", pcm=SECOND, ask=""):
        self.n_sent[name] += 0 if ask else len(pcm) // 2
        entry = AudioEntry(self.n_sent[name], int(bool(ask)), b"" if ask else pcm, ask)
        self.redis.xadd(LIVE_AUDIO.of(name), entry.fields, entry.id)

    def updates(self, name="s"):
        entries = self.redis.xrange(LIVE_UPDATES.of("g"))
        told = [f[b"update"] for _, f in entries if f[b"id"] == name.encode()]
        return [LiveUpdate.model_validate_json(update) for update in told]

    def words(self, name="s"):
        return [word.text for update in self.updates(name) for word in update.committed]

    def wait_for_words(self, n, name="s"):
        wait_until(lambda: len(self.words(name)) >= n, 20, f"{n} words")
        return self.words(name)

    def wait_for_end(self, name="s"):
        wait_until(lambda: any(u.is_last for u in self.updates(name)), 20, "the end")
        return self.updates(name)[-1]


@pytest.fixture
def caller(redis):
    return Caller(redis)


def test_audio_becomes_words_and_the_session_ends_when_its_caller_says_so(start, caller, engine):
    host = start()
    caller.open()
    caller.send()
    caller.send()
    assert caller.wait_for_words(2) == [" w0", " w1"]
    caller.send(ask="end")
    last = caller.wait_for_end()

    wait_until(lambda: host.n_held == 0, 10, "the session is gone")
    assert last.problem is None
    assert [u.seq for u in caller.updates()] == list(range(1, len(caller.updates()) + 1))
    assert engine.opened == {}
    assert caller.redis.zcard(LIVE_SESSIONS) == 0


def test_a_claim_is_renewed_though_nobody_speaks_and_the_tail_stays(start, caller):
    start()
    caller.open()
    caller.send()
    caller.wait_for_words(1)
    before = len(caller.updates())
    wait_until(lambda: len(caller.updates()) > before, 10, "another update")

    assert caller.updates()[-1].n_before == 1
    assert caller.updates()[-1].committed == ()


def test_a_new_engine_process_goes_on_from_the_last_state(start, caller, engine):
    start()
    caller.open()
    caller.send()
    caller.wait_for_words(1)
    engine.die()
    caller.send()

    assert caller.wait_for_words(2) == [" w0", " w1"]
    assert engine.opened == {"s": '{"n": 1}'}


def test_an_engine_that_dies_is_started_again_and_audio_read_again(start, caller, engine):
    start()
    caller.open()
    engine.faults["feed"] = [ChildDied("gone")]
    caller.send()

    assert caller.wait_for_words(1) == [" w0"]
    assert engine.loads == ["demo"]


def test_a_session_over_which_the_engine_dies_twice_ends(start, caller, engine):
    host = start()
    caller.open()
    engine.faults["feed"] = [ChildDied("gone"), ChildDied("gone again")]
    caller.send()
    last = caller.wait_for_end()

    assert last.problem == "the engine was lost twice over it (gone again)"
    wait_until(lambda: host.n_held == 0, 10, "the session is gone")


@pytest.mark.parametrize(
    ("method", "error"),
    [("open", EngineFailed("the model does not know 'xx'")), ("feed", EngineFailed("no memory"))],
)
def test_a_session_that_the_engine_refuses_ends_and_others_go_on(
    start, caller, engine, method, error
):
    start()
    engine.faults[method] = [error]
    caller.open("bad")
    caller.send("bad")
    last = caller.wait_for_end("bad")
    caller.open("good")
    caller.send("good")

    assert last.problem == error.message
    assert caller.wait_for_words(1, "good") == [" w0"]


def test_a_model_is_loaded_while_other_sessions_go_on(start, caller, engine):
    start(load=lambda model: wait_until(lambda: len(caller.words()) == 2, 20, "other words"))
    caller.open("s")
    caller.send("s")
    caller.wait_for_words(1)
    engine.status = SimpleNamespace(loaded=())  # so the next session waits for its model
    caller.open("later")
    caller.send("later")
    caller.send("s")

    assert caller.wait_for_words(1, "later") == [" w0"]


def test_a_session_whose_model_cannot_be_loaded_ends(start, caller, engine):
    def load(model):
        raise ModelNotFound(f"there is no {model}")

    engine.status = SimpleNamespace(loaded=())
    start(load=load)
    caller.open()

    assert caller.wait_for_end().problem == "there is no demo"


def test_a_worker_that_lost_its_claim_says_nothing_more(start, caller, redis):
    host = start()
    caller.open()
    caller.send()
    caller.wait_for_words(1)
    redis.hincrby(LIVE_SESSION.of("s"), "epoch", 1)
    caller.send()

    wait_until(lambda: host.n_held == 0, 10, "the session is given up")
    assert caller.words() == [" w0"]


def test_a_worker_that_stops_gives_its_sessions_to_another(start, caller):
    first = start()
    caller.open()
    caller.send()
    caller.wait_for_words(1)
    first.stop()
    second = start()
    caller.send()

    assert caller.wait_for_words(2) == [" w0", " w1"]
    assert (first.n_held, second.n_held) == (0, 1)


def test_a_session_that_nobody_listens_to_ends(start, caller, redis):
    host = start(orphan_s=0.5)
    caller.open()
    redis.delete(LIVE_GATEWAY.of("g"))

    assert caller.wait_for_end().problem == "nobody listens to this session any more"
    wait_until(lambda: host.n_held == 0, 10, "the session is gone")


def test_no_more_sessions_are_claimed_than_the_worker_takes(start, caller):
    host = start(capacity=1)
    caller.open("s")
    caller.open("t")
    caller.send("s")
    caller.wait_for_words(1, "s")

    assert host.n_held == 1
    caller.send("s", ask="end")
    caller.send("t")
    assert caller.wait_for_words(1, "t") == [" w0"]


def test_what_is_done_is_counted_and_audio_that_waits_is_told(start, caller, engine):
    host = start(capacity=0)
    caller.open()
    for _ in range(8):
        caller.send()
    caller.send(ask="end")
    host = start()
    caller.wait_for_end()

    counts = host.counts
    assert (counts.n_sessions, counts.audio_s) == (1, 8.0)
    # All of it was there at once, and no more than five seconds go into one call.
    assert counts.n_calls == counts.n_steps >= 2
    assert counts.take_lag_s() == 8.0
    assert counts.take_lag_s() == 0.0
