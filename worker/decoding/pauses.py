"""Long pauses are left out of what a model hears, and put back into the times that it tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from shared.transcript import Segment, Word
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import Span
from worker.engines.base import Decoding

_KEPT_S = 0.5
"""Of a pause, beside the margins of the speech around it: a model hears that there is one."""


def long_pauses(spans: Sequence[Span]) -> tuple[Span, ...]:
    """
    What of the pauses between spans of speech is left out.

    A model hears 30 s at once, and every second costs the same: silence, too. faster-whisper's
    `vad_filter` does likewise.

    >>> long_pauses([Span(0, 16_000), Span(24_000, 32_000), Span(80_000, 96_000)])
    (Span(start=36000, end=76000),)
    """
    half = int(_KEPT_S * SAMPLE_RATE_HZ / 2)
    return tuple(
        Span(here.end + half, after.start - half)
        for here, after in pairwise(spans)
        if after.start - here.end > 2 * half
    )


def end_of(start: int, n_samples: int, skipped: Sequence[Span]) -> int:
    """
    The sample at which a chunk ends that begins at another and holds so many.

    >>> end_of(0, 40_000, [Span(36_000, 76_000)])
    80000
    """
    end = start + n_samples
    for pause in skipped:
        if pause.start >= end:
            break
        if pause.end > start:
            end += pause.end - max(start, pause.start)
    return end


def put_back(decoding: Decoding, chunk: Span, skipped: Sequence[Span]) -> Decoding:
    """Give a decoding the times at which things are said, from those at which they were heard."""
    within = [pause for pause in skipped if chunk.start < pause.end and pause.start < chunk.end]
    if not within:
        return decoding

    def at(time_s: float, *, is_end: bool) -> float:
        sample = chunk.start + round(time_s * SAMPLE_RATE_HZ)
        for pause in within:
            # What ends as the pause begins ends there; what begins, begins after it.
            if sample < pause.start or (is_end and sample == pause.start):
                break
            sample += pause.end - max(chunk.start, pause.start)
        return round((min(sample, chunk.end) - chunk.start) / SAMPLE_RATE_HZ, 3)

    def word_at(word: Word) -> Word:
        return word.model_copy(
            update={"start": at(word.start, is_end=False), "end": at(word.end, is_end=True)}
        )

    def segment_at(segment: Segment) -> Segment:
        words = None if segment.words is None else tuple(map(word_at, segment.words))
        times = {"start": at(segment.start, is_end=False), "end": at(segment.end, is_end=True)}
        return segment.model_copy(update={**times, "words": words})

    segments = tuple(map(segment_at, decoding.segments))
    return replace(decoding, segments=segments, heard_s=at(decoding.heard_s, is_end=True))
