"""One claimed session: what is told of audio in which nobody says anything."""

from __future__ import annotations

import pytest

from shared.live.updates import LiveUpdate
from shared.live.wire import AudioEntry
from worker.live.messages import LiveAnswer
from worker.sessions.held import HeldSession

SECOND = bytes(32_000)


@pytest.fixture
def held() -> HeldSession:
    """A session which has just told that it begins."""
    session = HeldSession.claimed("s", 1, {"request": "{}", "model": "demo"})
    session.repeat()
    return session


def hear(held: HeldSession, start_s: int, end_s: int) -> None:
    """Audio comes and is silence, at once."""
    for n in range(start_s, end_s):
        held.take(AudioEntry((n + 1) * 16_000, 0, SECOND))
        assert held.next_feed()
        silence = LiveUpdate(seq=0, heard_s=n + 1.0)
        held.answered(LiveAnswer("s", silence, "{}", (n + 1) * 16_000))


def test_silence_that_comes_fast_is_told_as_it_is_heard(held: HeldSession) -> None:
    hear(held, 0, 32)

    told = [waiting.update.heard_s for waiting in held.updates]
    assert told == [0, 1, 6, 11, 16, 21, 26, 31]


def test_what_is_repeated_tells_how_much_was_heard(held: HeldSession) -> None:
    hear(held, 0, 3)
    n_told = len(held.updates)
    held.repeat()

    assert n_told == 2
    assert held.updates[-1].update.heard_s == 3
