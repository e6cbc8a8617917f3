"""Which words of a live hypothesis are certain."""

from __future__ import annotations

from dataclasses import replace

import pytest

from worker.engines.timed_words import TimedWord
from worker.live.policy import POLICIES, n_agreed

NORMAL = POLICIES["normal"]


def said(*ends: float, probability: float = 0.9) -> list[TimedWord]:
    return [TimedWord(f" w{n}", 1, end - 0.2, end, probability) for n, end in enumerate(ends)]


def test_words_that_two_hypotheses_have_are_certain_but_for_the_last() -> None:
    assert n_agreed(said(1.0, 1.5, 2.0), ["w0", "w1", "w2"], 2.1, NORMAL) == 2
    assert n_agreed(said(1.0, 1.5, 2.0), ["w0", "other"], 2.1, NORMAL) == 1
    assert n_agreed(said(1.0, 1.5, 2.0), [], 2.1, NORMAL) == 0


def test_the_last_word_is_certain_once_it_has_ended_long_ago() -> None:
    assert n_agreed(said(1.0), ["w0"], 2.0, NORMAL) == 0
    assert n_agreed(said(1.0), ["w0"], 2.3, NORMAL) == 1


@pytest.mark.parametrize(("length_s", "n"), [(2.1, 0), (2.4, 2)])
def test_a_word_that_the_model_doubts_has_to_wait(length_s: float, n: int) -> None:
    first, *others = said(1.5, 1.6, 2.0)

    words = [replace(first, probability=0.3), *others]
    assert n_agreed(words, ["w0", "w1", "w2"], length_s, NORMAL) == n


def test_a_longer_delay_waits_longer() -> None:
    words, before = said(1.0, 1.6, 2.4), ["w0", "w1", "w2"]
    certain = [n_agreed(words, before, 2.5, POLICIES[d]) for d in ("low", "normal", "high")]

    assert certain == [2, 2, 1]
