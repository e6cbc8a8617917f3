"""Which words of a live hypothesis are certain."""

from __future__ import annotations

from worker.engines.timed_words import TimedWord
from worker.live.policy import POLICIES, n_agreed

NORMAL = POLICIES["normal"]


def said(*ends: float) -> list[TimedWord]:
    return [TimedWord(f" w{n}", 1, end - 0.2, end, 0.9) for n, end in enumerate(ends)]


def test_words_that_two_hypotheses_have_are_certain_but_for_the_last() -> None:
    assert n_agreed(said(1.0, 1.5, 2.0), ["w0", "w1", "w2"], 2.1, NORMAL) == 2
    assert n_agreed(said(1.0, 1.5, 2.0), ["w0", "other"], 2.1, NORMAL) == 1
    assert n_agreed(said(1.0, 1.5, 2.0), [], 2.1, NORMAL) == 0


def test_the_last_word_is_certain_once_it_has_ended_long_ago() -> None:
    assert n_agreed(said(1.0), ["w0"], 2.0, NORMAL) == 0
    assert n_agreed(said(1.0), ["w0"], 2.3, NORMAL) == 1


def test_a_longer_delay_waits_longer() -> None:
    words, before = said(1.0, 1.6, 2.4), ["w0", "w1", "w2"]
    certain = [n_agreed(words, before, 2.5, POLICIES[d]) for d in ("low", "normal", "high")]

    assert certain == [2, 2, 1]
