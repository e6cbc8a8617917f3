"""Make times finite, in order and within the audio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

from shared.transcript import Character, Segment, Word

_Timed = TypeVar("_Timed", Word, Character)


def in_order(segments: Sequence[Segment], duration_s: float, after_s: float = 0.0) -> list[Segment]:
    """
    Segments that begin and end with their words, with all times finite and in order.

    Times are rounded to milliseconds. Apart from that, times that are in order stay the same.

    Args:
        after_s: No time is before this.
    """
    ordered: list[Segment] = []
    floor = min(after_s, duration_s)
    for segment in segments:
        words = _rising(segment.words or (), floor, duration_s)
        characters = _rising(segment.chars or (), floor, duration_s)
        if words:
            start, end = words[0].start, words[-1].end
            floor = words[-1].start
        else:
            start = _clamp(segment.start, floor, duration_s)
            end = _clamp(segment.end, start, duration_s)
        changes = {"start": start, "end": end, "words": tuple(words)}
        if segment.chars is not None:
            changes["chars"] = tuple(characters)
        ordered.append(segment.model_copy(update=changes))
    return ordered


def _rising(values: Sequence[_Timed], floor: float, ceiling: float) -> list[_Timed]:
    rising: list[_Timed] = []
    start = end = floor
    for value in values:
        start = _clamp(value.start, start, ceiling)
        end = _clamp(value.end, max(start, end), ceiling)
        rising.append(value.model_copy(update={"start": start, "end": end}))
    return rising


def _clamp(time: float, low: float, high: float) -> float:
    if not math.isfinite(time):
        return min(low, high)
    return min(max(round(time, 3), low), high)
