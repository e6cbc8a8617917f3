"""Long pauses are left out of chunks; the times that a model gives are corrected afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

from shared.transcript import Segment, Word
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import Span
from worker.engines.base import Decoding

_Timed = TypeVar("_Timed", Segment, Word)

_KEPT_S = 0.5
"""What is kept of a long pause, besides the margins of the speech around it."""


def long_pauses(spans: Sequence[Span]) -> tuple[Span, ...]:
    """
    The parts of long pauses between spans of speech: they are left out of chunks.

    A model hears 30 s at once, and silence costs it as much time as speech. faster-whisper's
    `vad_filter` leaves pauses out too.

    >>> long_pauses([Span(0, 16_000), Span(24_000, 32_000), Span(80_000, 96_000)])
    (Span(start=36000, end=76000),)
    """
    half = int(_KEPT_S * SAMPLE_RATE_HZ / 2)
    return tuple(
        Span(here.end + half, after.start - half)
        for here, after in pairwise(spans)
        if after.start - here.end > 2 * half
    )


def chunk_end(start: int, n_samples: int, skipped: Sequence[Span]) -> int:
    """
    The sample at which a chunk ends if it begins at `start` and holds `n_samples`.

    >>> chunk_end(0, 40_000, [Span(36_000, 76_000)])
    80000
    """
    end = start + n_samples
    for pause in skipped:
        if pause.start >= end:
            break
        if pause.end > start:
            end += pause.end - max(start, pause.start)
    return end


def restore_times(decoding: Decoding, chunk: Span, skipped: Sequence[Span]) -> Decoding:
    """Correct the times of a chunk that was decoded without its pauses."""
    within = [pause for pause in skipped if chunk.start < pause.end and pause.start < chunk.end]
    if not within:
        return decoding

    def at(time_s: float, *, is_end: bool) -> float:
        sample = chunk.start + round(time_s * SAMPLE_RATE_HZ)
        for pause in within:
            # At the edge of a pause, an end stays before the pause and a start goes after it.
            if sample < pause.start or (is_end and sample == pause.start):
                break
            sample += pause.end - max(chunk.start, pause.start)
        return round((min(sample, chunk.end) - chunk.start) / SAMPLE_RATE_HZ, 3)

    def restored(timed: _Timed, **changes: object) -> _Timed:
        times = {"start": at(timed.start, is_end=False), "end": at(timed.end, is_end=True)}
        return timed.model_copy(update={**times, **changes})

    segments = tuple(
        restored(segment, words=segment.words and tuple(map(restored, segment.words)))
        for segment in decoding.segments
    )
    return replace(decoding, segments=segments, heard_s=at(decoding.heard_s, is_end=True))
