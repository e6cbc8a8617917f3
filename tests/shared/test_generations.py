"""The number that rises when models are to be read anew."""

from __future__ import annotations

from shared.generations import Generations


def test_there_is_no_generation_before_the_first_reload(redis):
    assert Generations(redis).current() == 0


def test_each_reload_is_a_later_generation_and_everybody_sees_it(redis):
    seen = [Generations(redis).advance() for _ in range(3)]

    assert seen == sorted(set(seen))
    assert Generations(redis).current() == seen[-1]


def test_a_generation_is_never_below_the_second_it_is_made_in(redis):
    """So it is later than those before, even where Redis lost its data in between."""
    seconds, _ = redis.time()

    assert Generations(redis).advance() >= seconds


def test_a_generation_ahead_of_the_clock_is_counted_on(redis):
    redis.set("longhand:generation", 2**40)

    assert Generations(redis).advance() == 2**40 + 1
