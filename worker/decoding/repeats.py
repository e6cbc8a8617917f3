"""Whether what a model wrote again and again was said as often, or is a loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from shared.transcript import Segment
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import Span
from worker.decoding.looks import shared_s, text_tokens
from worker.decoding.pauses import put_back
from worker.engines.base import DecodeOptions, Decoding

_NEAR_S = 0.5
"""Whisper tells when a segment begins to about so much."""

_TOKENS_PER_S = 6.0
"""Of voice: nobody speaks faster."""

_VOICED_PER_TOKEN_S = 0.6
"""Nor so slowly: a loop ticks on through what else is said."""


def as_often_as_said(
    decoding: Decoding,
    chunk: Span,
    options: DecodeOptions,
    voiced: Sequence[Span],
    skipped: Sequence[Span],
) -> Decoding:
    """
    A decoding with the times of the recording, and with all rounds of what was said in rounds.

    An engine cuts a phrase that goes round to its first round. Each round that has a voice of its
    own, long enough for the phrase and not too long, was said.

    Args:
        decoding: As an engine gives it, with times from the chunk's start, `skipped` left out.
    """
    whole = put_back(replace(decoding, segments=decoding.uncut), chunk, skipped)
    if not decoding.uncut or not _have_voices(whole.segments, chunk, voiced):
        return put_back(decoding, chunk, skipped)
    least = options.logprob_threshold
    return replace(
        whole,
        compression_ratio=max(segment.compression_ratio for segment in whole.segments),
        needs_fallback=least is not None and decoding.avg_logprob < least,
    )


def _have_voices(segments: Sequence[Segment], chunk: Span, voiced: Sequence[Span]) -> bool:
    """Whether each segment that is written more than once begins with a voice of its own."""
    n_written = Counter(segment.text for segment in segments)
    free = list(voiced)
    for segment in segments:
        start, end = (chunk.start + _samples(at) for at in (segment.start, segment.end))
        near = [v for v in free if start - _samples(_NEAR_S) <= v.start < end - _samples(_NEAR_S)]
        if n_written[segment.text] < 2:
            continue
        voiced_s = shared_s(voiced, Span(start, end))
        n_tokens = len(text_tokens(segment))
        if not near or not n_tokens / _TOKENS_PER_S <= voiced_s <= n_tokens * _VOICED_PER_TOKEN_S:
            return False
        free.remove(near[0])
    return True


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)
