"""Whether a phrase that a model wrote many times was said as often, or is a loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from shared.transcript import Segment
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import Span
from worker.decoding.fallback import overlap_s, text_tokens
from worker.decoding.pauses import restore_times
from worker.engines.base import DecodeOptions, Decoding

_NEAR_S = 0.5
"""Whisper's start times are off by up to this much."""

_TOKENS_PER_S = 6.0
"""The fastest speech."""

_VOICED_PER_TOKEN_S = 0.6
"""The slowest speech. A loop that runs on while something else is said has more for each token."""


def restore_spoken_repeats(
    decoding: Decoding,
    chunk: Span,
    options: DecodeOptions,
    voiced: Sequence[Span],
    skipped: Sequence[Span],
) -> Decoding:
    """
    A decoding with the times of the recording, and with all repeats that were really said.

    An engine cuts a phrase that repeats to its first copy. If every copy begins with a burst of
    speech of its own, neither too short nor too long for it, all of them were said and are kept.
    Without this rule, a sentence that is said five times is written once
    (tests/worker/test_repeats.py).

    Args:
        decoding: As an engine gives it: times count from the chunk's start, without `skipped`.
    """
    whole = restore_times(replace(decoding, segments=decoding.uncut), chunk, skipped)
    if not decoding.uncut or not _are_spoken(whole.segments, chunk, voiced):
        return restore_times(decoding, chunk, skipped)
    least = options.logprob_threshold
    return replace(
        whole,
        compression_ratio=max(segment.compression_ratio for segment in whole.segments),
        fails_thresholds=least is not None and decoding.avg_logprob < least,
    )


def _are_spoken(segments: Sequence[Segment], chunk: Span, voiced: Sequence[Span]) -> bool:
    """Whether each segment that is written more than once begins with a burst of its own."""
    n_written = Counter(segment.text for segment in segments)
    free = list(voiced)
    margin = _samples(_NEAR_S)
    for segment in segments:
        if n_written[segment.text] < 2:
            continue
        start, end = (chunk.start + _samples(at) for at in (segment.start, segment.end))
        near = [v for v in free if start - margin <= v.start < end - margin]
        voiced_s = overlap_s(voiced, Span(start, end))
        n_tokens = len(text_tokens(segment))
        if not near or not n_tokens / _TOKENS_PER_S <= voiced_s <= n_tokens * _VOICED_PER_TOKEN_S:
            return False
        free.remove(near[0])
    return True


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)
