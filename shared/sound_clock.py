"""Which audio track of a container is used, and when its frames are played."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

SILENT_BELOW = 2 / 32768
"""A track that is never louder, with full scale 1, is silent except for rounding errors."""

MOST_SILENCE_S = 3600.0
"""The most silence that a clock may add to a recording. A clock that leaps further is broken."""

_HOLE_S = 0.1
"""A shorter hole is ignored: encoders begin late, and clocks are rounded."""

_STEP_S = 0.015
"""A longer step between two frames is a hole. It is three quarters of the shortest usual frame."""

_DRIFT_EVERY_S = 30.0
"""If a clock only runs faster than its samples, the difference is added this often."""

_BACK_S = 1.0
"""A clock that is behind by more was set back."""

_ASIDE = ("comment", "visual_impaired", "descriptions")
"""Marks of tracks that are not the recording's own sound."""


class SoundClock:
    """
    Finds out how much silence belongs between the frames of a track, from their times.

    Frames follow each other without a break, unless one is played later: then there is a hole
    before it. There are holes if the sound of a film begins after its pictures, or if a connection
    was lost. If the clock is set back, or leaps too far, counting restarts there: no sound is lost.

    Args:
        start_s: The container's time at its beginning (`start_of`).

    >>> clock = SoundClock(100.0)
    >>> [clock.silence_before(at, 0.5) for at in (105.0, 105.51, 109.0, 3.0, 3.5, 99_999.0)]
    [5.0, 0.0, 3.0, 0.0, 0.0, 0.0]
    >>> clock.duration_s
    11.0
    """

    def __init__(self, start_s: float) -> None:
        self._base_s = start_s
        self._expected_s = start_s
        self._followed_at_s = 0.0
        self._silence_s = 0.0
        self.duration_s = 0.0
        """Duration of everything so far, with silence."""

    def silence_before(self, at_s: float | None, length_s: float) -> float:
        """
        Add the next frame.

        Args:
            at_s: Its time on the container's clock, if it has one.
            length_s: Its duration.

        Returns:
            Seconds of silence before it.
        """
        silence_s = 0.0
        if at_s is not None:
            silence_s = self._hole_before(at_s)
            self._expected_s = at_s + length_s
        self.duration_s += silence_s + length_s
        return silence_s

    def _hole_before(self, at_s: float) -> float:
        late_s = at_s - self._base_s - self.duration_s
        is_broken = late_s < -_BACK_S or self._silence_s + late_s > MOST_SILENCE_S
        if is_broken:
            self._base_s = at_s - self.duration_s
            return 0.0
        is_step = at_s - self._expected_s > _STEP_S
        is_time = self.duration_s - self._followed_at_s > _DRIFT_EVERY_S
        if late_s <= _HOLE_S or not (is_step or is_time):
            return 0.0
        self._followed_at_s = self.duration_s + late_s
        self._silence_s += late_s
        return late_s


def start_of(container: Any, stream: Any) -> float:
    """
    The container's time when its first stream begins, in seconds.

    A recording begins there, at any time of the clock: that of a broadcast runs for days. If
    the container has no start time, it is that of the stream.

    Args:
        container, stream: PyAV's, open for reading.
    """
    if container.start_time is not None:
        return float(container.start_time) / 1_000_000
    return float((stream.start_time or 0) * (stream.time_base or 0))


def in_order_of_choice(streams: Iterable[Any]) -> list[Any]:
    """
    Audio tracks in the order in which players choose them.

    Tracks marked default come first, comments and descriptions for the blind last. Otherwise the
    container's order holds. The caller takes the first that is not silent.

    Args:
        streams: PyAV's `container.streams.audio`.
    """

    def rank(stream: Any) -> tuple[bool, bool]:
        marks = stream.disposition
        is_aside = any(getattr(type(marks), mark) in marks for mark in _ASIDE)
        return is_aside, type(marks).default not in marks

    return sorted(streams, key=rank)
