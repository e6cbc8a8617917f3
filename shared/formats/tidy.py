"""What every format may rely on: times in order and within the audio, and no space too many."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Protocol, TypeVar

from shared.formats.lines import has_spaces
from shared.transcript import Segment, SpeakerTurn, Transcript, Word


class _Timed(Protocol):
    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...
    def model_copy(self, *, update: dict[str, Any]) -> Any: ...


T = TypeVar("T", bound=_Timed)


def tidy(transcript: Transcript) -> Transcript:
    """
    The transcript with times that any reader can use, whatever its models said.

    Every time is a whole number of milliseconds from 0 to the duration. No segment begins before
    the one before it; it ends, at the latest, where the next begins, of the same channel where
    each was transcribed by itself; and words and characters lie in order within their segment.
    Where words have no spaces, none is left around them.
    """
    duration = milliseconds(transcript.duration)
    segments = tuple(
        _tidy_segment(segment, has_spaces(transcript, segment))
        for segment in _segments_in_order(transcript, duration)
    )
    turns = transcript.turns and tuple(_turns(transcript.turns, duration))
    changed = {"duration": duration / 1000, "segments": segments, "turns": turns}
    return transcript.model_copy(update=changed)


def milliseconds(seconds: float, latest: int | None = None) -> int:
    """
    Whole milliseconds, at least 0 and at most `latest`; what is not a number is 0.

    >>> [milliseconds(s, 9000) for s in (0.1 + 0.2, -1.0, 10.0, float("inf"), float("nan"))]
    [300, 0, 9000, 9000, 0]
    """
    if math.isnan(seconds) or seconds <= 0:
        return 0
    if math.isinf(seconds):
        return latest or 0
    whole = round(seconds * 1000)
    return whole if latest is None else min(whole, latest)


def _segments_in_order(transcript: Transcript, duration: int) -> list[Segment]:
    if not transcript.options.get("multichannel"):
        return _in_order(transcript.segments, 0, duration)
    channels: dict[str | None, list[Segment]] = {}
    for segment in transcript.segments:
        channels.setdefault(segment.speaker, []).append(segment)
    placed = [s for channel in channels.values() for s in _in_order(channel, 0, duration)]
    return sorted(placed, key=lambda segment: segment.start)


def _in_order(values: Sequence[T], earliest: int, latest: int) -> list[T]:
    """The values between two times in milliseconds; each begins where it did, or later."""
    starts = []
    for value in values:
        earliest = max(earliest, milliseconds(value.start, latest))
        starts.append(earliest)
    placed = []
    for value, (start, following) in zip(values, pairwise([*starts, latest]), strict=True):
        end = max(start, milliseconds(value.end, following))
        times = {"start": start / 1000, "end": end / 1000}
        is_so = (value.start, value.end) == (times["start"], times["end"])
        placed.append(value if is_so else value.model_copy(update=times))
    return placed


def _tidy_segment(segment: Segment, spaces: bool) -> Segment:
    changed: dict[str, Any] = {}
    within = milliseconds(segment.start), milliseconds(segment.end)
    if segment.words is not None:
        words = _in_order(segment.words, *within)
        changed["words"] = tuple(words if spaces else _without_spaces(words))
    if segment.chars is not None:
        changed["chars"] = tuple(_in_order(segment.chars, *within))
    if not spaces:
        changed["text"] = segment.text.strip()
    return segment.model_copy(update=changed) if changed else segment


def _without_spaces(words: Iterable[Word]) -> Iterable[Word]:
    """Take the white space off the words, except between two of a script that has spaces."""
    last = ""
    for word in words:
        core = word.word.strip()
        is_apart = word.word[:1].isspace() and last.isascii() and core[:1].isascii()
        text = f" {core}" if last.isalnum() and core[:1].isalnum() and is_apart else core
        last = core[-1:] or last
        yield word if text == word.word else word.model_copy(update={"word": text})


def _turns(turns: Sequence[SpeakerTurn], duration: int) -> Iterable[SpeakerTurn]:
    """Turns by their start; those of different speakers may overlap."""
    for turn in sorted(turns, key=lambda turn: milliseconds(turn.start, duration)):
        start = milliseconds(turn.start, duration)
        end = max(start, milliseconds(turn.end, duration))
        yield turn.model_copy(update={"start": start / 1000, "end": end / 1000})
