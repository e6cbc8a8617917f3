"""Put times in order and within the recording, and give everything a length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Protocol, TypeVar

from shared.transcript import Segment


class Timed(Protocol):
    """Something with a start and an end, in seconds."""

    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...
    def model_copy(self, *, update: dict[str, Any]) -> Any: ...


T = TypeVar("T", bound=Timed)


def milliseconds(seconds: float, latest: int | None = None) -> int:
    """
    Whole milliseconds, from 0 to `latest`; NaN becomes 0.

    >>> [milliseconds(s, 9000) for s in (0.1 + 0.2, -1.0, 10.0, float("inf"), float("nan"))]
    [300, 0, 9000, 9000, 0]
    """
    if math.isnan(seconds) or seconds <= 0:
        return 0
    if math.isinf(seconds):
        return latest or 0
    whole = round(seconds * 1000)
    return whole if latest is None else min(whole, latest)


def in_order(values: Sequence[T], earliest: int, latest: int, least: Sequence[int]) -> list[T]:
    """
    Put values one after the other, between two times in milliseconds.

    Each keeps its start, unless the one before it is not over: then it begins later. It begins
    earlier only if those after it would have no room. It ends before the next one begins.

    Args:
        least: The shortest length of each, in milliseconds. If there is no room for that, each gets
            at least 1 ms; if there are more values than milliseconds, some get no length.
    """
    room = latest - earliest
    if sum(least) > room:
        least = [int(len(values) <= room)] * len(values)
    left = list(accumulate(reversed(least), initial=0))[:0:-1]
    starts: list[int] = []
    free = earliest
    for value, length, needed in zip(values, least, left, strict=True):
        starts.append(min(max(free, milliseconds(value.start, latest)), latest - needed))
        free = starts[-1] + length
    placed = []
    ends = [*starts, latest][1:]
    for value, length, start, following in zip(values, least, starts, ends, strict=True):
        end = max(start + length, milliseconds(value.end, following))
        times = {"start": start / 1000, "end": end / 1000}
        is_so = (value.start, value.end) == (times["start"], times["end"])
        placed.append(value if is_so else value.model_copy(update=times))
    return placed


def segments_in_order(segments: Sequence[Segment], duration_s: float) -> list[Segment]:
    """
    Put segments one after the other within a recording; words and characters within their segment.

    Each gets a length, at least a millisecond for each character, unless there are more characters
    than milliseconds.
    """
    least = [_least(segment) for segment in segments]
    placed: list[Segment] = []
    for segment in in_order(segments, 0, milliseconds(duration_s), least):
        within = milliseconds(segment.start), milliseconds(segment.end)
        changed: dict[str, Any] = {}
        if segment.words is not None:
            sizes = [_size(word.word) for word in segment.words]
            changed["words"] = tuple(in_order(segment.words, *within, sizes))
        if segment.chars is not None:
            sizes = [1] * len(segment.chars)
            changed["chars"] = tuple(in_order(segment.chars, *within, sizes))
        placed.append(segment.model_copy(update=changed) if changed else segment)
    return placed


def _size(text: str) -> int:
    return max(1, len(text.strip()))


def _least(segment: Segment) -> int:
    """The shortest length in milliseconds: one for each character of its text or words."""
    n_spelled = sum(_size(word.word) for word in segment.words or ())
    return max(_size(segment.text), n_spelled, len(segment.chars or ()))
