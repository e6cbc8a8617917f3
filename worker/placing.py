"""When a segment is said: times of the whole recording, beginning and ending where a voice does."""

from __future__ import annotations

import math
from collections.abc import Sequence

from shared.transcript import Segment, Word
from worker.audio import SAMPLE_RATE_HZ, Span

FRAMES_PER_S = 100

_EARLIER_S = 0.5
"""A segment that begins up to so much after a voice does begins with it."""

_SHORTEST_S = 0.1

_NEAR_S = 1.0


def place_segments(
    segments: Sequence[Segment], chunk: Span, voiced: Sequence[Span]
) -> tuple[Segment, ...]:
    """
    Give segments of a chunk the times of the whole recording.

    Whisper tells times to about half a second, and begins a segment within the pause before it.
    Where a voice is heard is known more exactly. The first word of a chunk begins with the chunk
    for Whisper: no word begins or ends in a pause, if a voice is heard within it. A segment
    begins and ends with its words, where it has any.

    Args:
        segments: With times from the chunk's start.
        voiced: Where a voice is heard in the recording, in time order.
    """
    start_s = chunk.start / SAMPLE_RATE_HZ
    end_s = chunk.end / SAMPLE_RATE_HZ
    spans = [
        (span.start / SAMPLE_RATE_HZ, span.end / SAMPLE_RATE_HZ)
        for span in voiced
        if span.end > chunk.start and span.start < chunk.end
    ]
    placed: list[Segment] = []
    before = start_s
    for segment in segments:
        moved = _move(segment, start_s, end_s)
        if moved.words is None:
            start = _begin(moved.start, moved.end, before, spans)
            # Whisper may begin and end a text at one time, mostly at the chunk's end.
            end = max(_end(start, moved.end, spans), min(start + _SHORTEST_S, end_s))
            start = min(start, max(before, round(end - _SHORTEST_S, 3)))
            moved = moved.model_copy(update={"start": start, "end": round(end, 3)})
        elif moved.words:
            words = tuple(_voiced(word, spans) for word in moved.words)
            times = {"start": words[0].start, "end": words[-1].end}
            moved = moved.model_copy(update={"words": words, **times})
        before = moved.end
        placed.append(moved)
    return tuple(placed)


def is_heard(segment: Segment, voiced: Sequence[Span]) -> bool:
    """Whether a voice is heard near a segment: text in silence is what nobody said."""
    start = (segment.start - _NEAR_S) * SAMPLE_RATE_HZ
    end = (segment.end + _NEAR_S) * SAMPLE_RATE_HZ
    return any(span.start < end and span.end > start for span in voiced)


def _voiced(word: Word, spans: Sequence[tuple[float, float]]) -> Word:
    """A word without the pause before the voice in it, and the one after."""
    start = _begin(word.start, word.end, math.inf, spans)
    return word.model_copy(update={"start": start, "end": _end(start, word.end, spans)})


def _begin(start: float, end: float, before: float, spans: Sequence[tuple[float, float]]) -> float:
    """Where the voice begins that a segment tells of; its own start where none does."""
    for voice_start, voice_end in spans:
        if voice_end <= start + 0.05:
            continue
        is_later = start < voice_start < end - _SHORTEST_S
        is_earlier = before <= voice_start <= start <= voice_start + _EARLIER_S
        return round(voice_start, 3) if is_later or is_earlier else start
    return start


def _end(start: float, end: float, spans: Sequence[tuple[float, float]]) -> float:
    """Where the voice ends that a segment tells of; its own end where none does."""
    for voice_start, voice_end in reversed(spans):
        if voice_start >= end:
            continue
        return round(voice_end, 3) if start + _SHORTEST_S < voice_end < end else end
    return end


def _move(segment: Segment, by_s: float, end_s: float) -> Segment:
    """Move a segment and its words later by `by_s`; nothing ends after `end_s`."""

    def at(time_s: float) -> float:
        return round(min(time_s + by_s, end_s), 3)

    words: tuple[Word, ...] | None = None
    if segment.words is not None:
        words = tuple(
            word.model_copy(update={"start": at(word.start), "end": at(word.end)})
            for word in segment.words
        )
    return segment.model_copy(
        update={
            "seek": round(by_s * FRAMES_PER_S),
            "start": at(segment.start),
            "end": at(segment.end),
            "words": words,
        }
    )
