"""Which audio track of a container is meant, and where on the container's clock its sound lies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

SILENT_BELOW = 2 / 32768
"""Full scale being 1: a track that is nowhere louder is silent, but for its rounding."""

MOST_SILENCE_S = 3600.0
"""So much silence a clock may put into a recording in all: one that leaps further is broken."""

_HOLE_S = 0.1
"""Sound that is nearer to its time stays where it is: encoders begin late, clocks are rounded."""

_STEP_S = 0.015
"""Between two frames, a hole: three quarters of the shortest frame that is usual."""

_DRIFT_EVERY_S = 30.0
"""A clock that merely runs faster than its samples is followed so often, not at every frame."""

_BACK_S = 1.0
"""A clock that is behind by more has been set anew."""

_ASIDE = ("comment", "visual_impaired", "descriptions")
"""What a track is marked as that is told beside the recording's own sound."""


class SoundClock:
    """
    Says where silence belongs between the frames of a track, by the time each is to be played at.

    Frames are laid one after the other. One that is to be played later has a hole before it, as
    when the sound of a film begins after its pictures, or a connection was lost. A clock that is
    set back, or leaps too far, is believed anew from there: no sound is lost.

    Args:
        start_s: What the container's clock shows at its beginning (`start_of`).

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
        """Of everything so far, silence included."""

    def silence_before(self, at_s: float | None, length_s: float) -> float:
        """
        Lay the next frame.

        Args:
            at_s: Its time on the container's clock, if it has one.
            length_s: Its own duration.

        Returns:
            Seconds of silence that belong before it.
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
    What a container's clock shows when its first stream begins, in seconds.

    That is where a recording begins, whatever the clock shows: a broadcast's runs for days. It is
    the stream's own beginning where the container tells none.

    Args:
        container, stream: Of PyAV, open for reading.
    """
    if container.start_time is not None:
        return float(container.start_time) / 1_000_000
    return float((stream.start_time or 0) * (stream.time_base or 0))


def in_order_of_choice(streams: Iterable[Any]) -> list[Any]:
    """
    Audio tracks, the likeliest to be meant first: those marked default, in the container's order.

    Comments and descriptions for the blind come last. As players choose; a silent one is passed
    over for the next.

    Args:
        streams: `container.streams.audio` of PyAV.
    """

    def rank(stream: Any) -> tuple[bool, bool]:
        marks = stream.disposition
        is_aside = any(getattr(type(marks), mark) in marks for mark in _ASIDE)
        return is_aside, type(marks).default not in marks

    return sorted(streams, key=rank)
