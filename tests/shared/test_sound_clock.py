"""Where on a container's clock sound lies: holes are kept, and what is only inexact is not."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from shared.sound_clock import MOST_SILENCE_S, SoundClock

FRAME_S = 0.02


def silences(times: Iterable[float | None], start_s: float = 0.0) -> list[float]:
    """The silence before each frame of 20 ms at some times, where there is any."""
    clock = SoundClock(start_s)
    found = [clock.silence_before(at, FRAME_S) for at in times]
    assert clock.duration_s == pytest.approx(sum(found) + len(found) * FRAME_S)
    return [round(silence, 3) for silence in found if silence]


def frames(n: int, start_s: float = 0.0, length_s: float = FRAME_S) -> list[float]:
    """The times of so many frames in a row."""
    return [start_s + i * length_s for i in range(n)]


def test_sound_that_begins_late_has_silence_before_it() -> None:
    assert silences(frames(100, 5.0)) == [5.0]


def test_only_what_a_stream_is_later_than_its_container_counts() -> None:
    assert silences(frames(100, 90_000.0), start_s=90_000.0) == []
    assert silences(frames(100, 90_002.5), start_s=90_000.0) == [2.5]


def test_a_hole_is_as_long_as_it_was() -> None:
    assert silences([*frames(100), *frames(100, 22.0)]) == [20.0]


@pytest.mark.parametrize("length_s", [FRAME_S + 1e-7, FRAME_S - 1e-7])
def test_three_hours_of_a_clock_in_whole_milliseconds_stay_what_they_are(length_s: float) -> None:
    draw = random.Random(3)
    times = frames(3 * 3600 * 50, 0.021, length_s)

    assert silences(round(at + draw.uniform(-4e-3, 4e-3), 3) for at in times) == []


def test_frames_without_a_time_follow_each_other() -> None:
    assert silences([None] * 50) == []


def test_frames_that_were_lost_one_by_one_add_up() -> None:
    times = [at for i, at in enumerate(frames(1000)) if i % 10]

    assert sum(silences(times)) == pytest.approx(100 * FRAME_S, abs=0.11)


def test_a_clock_that_runs_faster_is_followed_now_and_then() -> None:
    fast = silences(frames(50 * 3600, length_s=FRAME_S * 1.0002))
    far_too_fast = silences(frames(50 * 3600, length_s=FRAME_S * 1.2))

    assert sum(fast) == pytest.approx(0.72, abs=0.15)
    assert len(far_too_fast) <= 3600 / 30


def test_a_clock_that_is_set_back_loses_nothing_and_adds_nothing() -> None:
    assert silences([*frames(100, 50.0), *frames(100), *frames(100, 7.0)], start_s=50.0) == [5.0]


@pytest.mark.parametrize("leap_s", [MOST_SILENCE_S + 10, 95_443.7, 1e9])
def test_a_clock_that_leaps_too_far_is_believed_anew(leap_s: float) -> None:
    assert silences([*frames(100), *frames(100, leap_s), *frames(50, leap_s + 3)]) == [1.0]
    assert silences(frames(100, leap_s)) == []


def test_a_clock_that_swings_makes_no_more_silence_than_may_be() -> None:
    swings = [at for _ in range(100) for at in (*frames(10), *frames(10, 1800.0))]

    assert sum(silences(swings)) <= MOST_SILENCE_S
