"""Decodings of chunks as a model might give them, for tests of what is made of them."""

from __future__ import annotations

from zlib import crc32

from shared.transcript import Segment
from worker.audio.source import Span
from worker.engines.base import Decoding

SECOND = 16_000
TIMESTAMP = 60_000
"""A token that is not text."""


def segment(
    text: str,
    start: float = 0.0,
    end: float = 1.0,
    *,
    tokens: tuple[int, ...] | None = None,
    temperature: float = 0.0,
) -> Segment:
    """A segment whose tokens are a number for each word, between two timestamps, unless given."""
    words = tuple(crc32(word.encode()) % 50_000 for word in text.split())
    return Segment(
        id=0, seek=0, start=start, end=end, text=text,
        tokens=(TIMESTAMP, *words, TIMESTAMP) if tokens is None else tokens,
        temperature=temperature, avg_logprob=-0.1, compression_ratio=1, no_speech_prob=0,
    )  # fmt: skip


def decoding(*segments: Segment, heard_s: float = 30.0, **fields: object) -> Decoding:
    """What a model wrote for a chunk that nothing is wrong with."""
    values: dict[str, object] = {"language": "en", "avg_logprob": -0.1, **fields}
    return Decoding(segments, heard_s=heard_s, **values)  # type: ignore[arg-type]


def seconds(start: float, end: float) -> Span:
    """A span between two times."""
    return Span(round(start * SECOND), round(end * SECOND))
