"""The moves of a live session in Redis."""

from __future__ import annotations

import pytest

from shared.keys import LIVE_AUDIO, LIVE_GATEWAY, LIVE_SAID, LIVE_SESSION, LIVE_UPDATES
from shared.live import wire
from shared.live.wire import AudioEntry, as_record


class Moves:
    """Each script as a method."""

    def __init__(self, redis):
        self.redis = redis

    def __getattr__(self, name):
        return lambda *args: self.redis.register_script(getattr(wire, name.upper()))(args=args)

    def begin(self, name="s1", owner="ann", model="base", most_of_site=9, most_of_owner=9):
        return self.open(name, owner, "{}", model, "g1", most_of_site, most_of_owner)

    def say(self, name, epoch, update="{}", *, kept="1", state="", sample=0, last="0"):
        return self.publish(name, epoch, 10, update, kept, state, sample, last)


@pytest.fixture
def moves(redis):
    return Moves(redis)


def test_a_session_is_claimed_once(moves):
    moves.begin()

    assert moves.claim("w1", 10) == [b"s1", 1]
    assert moves.claim("w2", 10) is None


def test_the_session_that_waits_longest_is_claimed_first(moves):
    for name in ("s2", "s1", "s3"):
        moves.begin(name)

    assert [moves.claim("w", 10)[0] for _ in range(3)] == [b"s2", b"s1", b"s3"]


def test_a_worker_claims_only_sessions_whose_model_it_can_run(moves):
    moves.begin("s1", model="large-v3")
    moves.begin("s2", model="base")

    assert moves.claim("w", 10, "base", "tiny.en") == [b"s2", 1]


def test_a_session_whose_lease_ran_out_is_claimed_with_the_next_epoch(moves):
    moves.begin()
    moves.claim("w1", 0)

    assert moves.claim("w2", 10) == [b"s1", 2]


def test_a_worker_that_lost_its_claim_publishes_nothing(moves, redis):
    moves.begin()
    moves.claim("w1", 0)
    moves.claim("w2", 10)

    assert moves.say("s1", 1) == -1
    assert redis.exists(LIVE_UPDATES.of("g1"), LIVE_SAID.of("s1")) == 0


def test_an_update_reaches_the_gateway_and_says_whether_that_is_there(moves, redis):
    moves.begin()
    moves.claim("w1", 10)

    assert moves.say("s1", 1, '{"seq":1}') == 0
    redis.set(LIVE_GATEWAY.of("g1"), "1")
    assert moves.say("s1", 1, '{"seq":2}', kept="0", state="{}") == 1
    found = [fields for _, fields in redis.xrange(LIVE_UPDATES.of("g1"))]
    assert [fields[b"update"] for fields in found] == [b'{"seq":1}', b'{"seq":2}']
    assert redis.lrange(LIVE_SAID.of("s1"), 0, -1) == [b'{"seq":1}']
    assert as_record(redis.hgetall(LIVE_SESSION.of("s1")))["state"] == "{}"


def test_audio_before_what_the_state_needs_is_removed(moves, redis):
    moves.begin()
    moves.claim("w1", 10)
    for entry in (
        AudioEntry(320, 0, b"ab" * 320), AudioEntry(320, 1, ask="flush"),
        AudioEntry(640, 0, b"cd" * 320),
    ):  # fmt: skip
        redis.xadd(LIVE_AUDIO.of("s1"), entry.fields, entry.id)

    moves.say("s1", 1, sample=320)
    left = [AudioEntry.read(*found) for found in redis.xrange(LIVE_AUDIO.of("s1"))]
    assert [(entry.start, entry.end, entry.ask) for entry in left] == [
        (0, 320, ""), (320, 320, "flush"), (320, 640, ""),
    ]  # fmt: skip
    moves.say("s1", 1, sample=321)
    assert redis.xlen(LIVE_AUDIO.of("s1")) == 1


def test_a_site_and_an_owner_have_only_so_many_sessions(moves):
    assert moves.begin("s1", most_of_owner=1) == b"open"
    assert moves.begin("s2", most_of_owner=1) == b"owner"
    assert moves.begin("s3", owner="bob", most_of_site=1) == b"site"


@pytest.mark.parametrize("end", ["forget", "last update"])
def test_an_ended_session_makes_room_and_is_claimed_no_more(moves, end):
    moves.begin(most_of_owner=1)
    [_, epoch] = moves.claim("w", 0)
    moves.forget("s1") if end == "forget" else moves.say("s1", epoch, last="1")

    assert moves.claim("w", 10) is None
    assert moves.begin("s2", most_of_owner=1, most_of_site=1) == b"open"


def test_a_released_session_is_claimed_immediately(moves):
    moves.begin()
    moves.claim("w1", 1000)

    assert moves.release("s1", 1) == 1
    assert moves.claim("w2", 10) == [b"s1", 2]


def test_a_caller_goes_on_with_their_own_session_alone(moves, redis):
    moves.begin()

    assert moves.resume("s1", "bob", "g2") is None
    assert moves.resume("s1", "ann", "g2") == 1
    assert redis.hget(LIVE_SESSION.of("s1"), "gateway") == b"g2"
    assert moves.resume("s9", "ann", "g2") is None
