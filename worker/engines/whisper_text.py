"""From one chunk's tokens to segments and words, the same way for every Whisper engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from zlib import compress

from shared.transcript import Segment, Word
from worker.engines.base import Chunk

PREPENDED = "\"'“¿([{-"
APPENDED = "\"'.。,，!！?？:：”)]}、"


FRAME_S = 0.02
"""What one timestamp token stands for."""

NO_SPEECH_THRESHOLD, LOGPROB_THRESHOLD = 0.6, -1.0
"""A chunk that probably holds no speech, and was written down without confidence, is dropped."""


class WhisperTokenizer(Protocol):
    """What the tokenizers of both engines have in common."""

    @property
    def eot(self) -> int:
        """First id that is not text."""
        ...

    @property
    def timestamp_begin(self) -> int:
        """Id of the timestamp 0.00."""
        ...

    def decode(self, tokens: list[int]) -> str:
        """The text of text tokens."""
        ...


@dataclass(frozen=True)
class TokenSpan:
    """A run of text tokens between two timestamps, in seconds from the chunk's start."""

    start: float
    end: float
    tokens: tuple[int, ...]


def split_by_timestamps(
    tokens: Sequence[int], timestamp_begin: int, duration_s: float
) -> list[TokenSpan]:
    """
    Cut decoded tokens into segments at their timestamp tokens.

    Text after the last timestamp is kept: it runs to the end of the chunk.

    >>> split_by_timestamps([100, 7, 8, 150, 150, 9], timestamp_begin=100, duration_s=2.0)
    [TokenSpan(start=0.0, end=1.0, tokens=(100, 7, 8, 150)), TokenSpan(start=1.0, end=2.0, tokens=(150, 9))]
    """  # noqa: E501 - a doctest's answer stands on one line
    spans: list[TokenSpan] = []
    run: list[int] = []
    start = 0.0
    has_text = False
    for token in tokens:
        if token < timestamp_begin:
            run.append(token)
            has_text = True
            continue
        at = min((token - timestamp_begin) * FRAME_S, duration_s)
        if has_text:
            spans.append(TokenSpan(start, max(start, at), (*run, token)))
            run, has_text, start = [], False, at
        else:
            run, start = [token], at
    if has_text:
        spans.append(TokenSpan(start, max(start, duration_s), tuple(run)))
    return spans


@dataclass(frozen=True)
class Decoded:
    """What a model wrote for one chunk, and how sure it was."""

    tokens: Sequence[int]
    avg_logprob: float
    no_speech_prob: float


def make_segments(chunk: Chunk, decoded: Decoded, tokenizer: WhisperTokenizer) -> list[Segment]:
    """The segments of one chunk, times from its start; none if nobody seems to speak."""
    unsure = decoded.avg_logprob < LOGPROB_THRESHOLD
    if unsure and decoded.no_speech_prob > NO_SPEECH_THRESHOLD:
        return []
    segments: list[Segment] = []
    for span in split_by_timestamps(decoded.tokens, tokenizer.timestamp_begin, chunk.duration_s):
        text = tokenizer.decode([t for t in span.tokens if t < tokenizer.eot])
        if not text.strip():
            continue
        data = text.encode()
        segments.append(
            Segment(
                id=len(segments),
                seek=0,
                start=round(span.start, 3),
                end=round(span.end, 3),
                text=text,
                tokens=span.tokens,
                temperature=chunk.options.temperature,
                avg_logprob=round(decoded.avg_logprob, 6),
                compression_ratio=round(len(data) / len(compress(data)), 6),
                no_speech_prob=round(decoded.no_speech_prob, 6),
            )
        )
    return segments


@dataclass
class TimedWord:
    """A word as the model's cross-attention times it, in seconds from the chunk's start."""

    word: str
    n_tokens: int
    start: float
    end: float
    probability: float


def merge_punctuation(words: Sequence[TimedWord]) -> list[TimedWord]:
    """
    Join punctuation to the word it belongs to, keeping the word's own times.

    A full stop is timed where the pause after it ends; the word is not that long.
    """
    merged: list[TimedWord] = []
    opening: list[TimedWord] = []
    for word in words:
        text = word.word.strip()
        # A straight quote may open or close; Whisper writes a space before one that opens.
        opens = bool(opening) or word.word.startswith(" ") or not all(c in APPENDED for c in text)
        if text and opens and all(c in PREPENDED for c in text):
            opening.append(word)
        elif merged and not opening and text and all(c in APPENDED for c in text):
            merged[-1].word += word.word
            merged[-1].n_tokens += word.n_tokens
        else:
            before = "".join(mark.word for mark in opening)
            n_before = sum(mark.n_tokens for mark in opening)
            word.word = before + (word.word.lstrip() if opening else word.word)
            word.n_tokens += n_before
            opening = []
            merged.append(word)
    return merged + opening


def give_words(
    segments: Sequence[Segment], words: Sequence[TimedWord], eot: int, duration_s: float
) -> list[Segment]:
    """
    Hand the words of a chunk out to its segments, whose times become those of their words.

    Args:
        words: In order, punctuation apart, together holding all text tokens of `segments`.
        eot: Tokens from this id on are not text.
    """
    left = list(words)
    given: list[Segment] = []
    for segment in segments:
        n_tokens = sum(token < eot for token in segment.tokens)
        own: list[TimedWord] = []
        while left and n_tokens > 0:
            n_tokens -= left[0].n_tokens
            own.append(left.pop(0))
        # Within the segment: a mark that begins it is not the last segment's.
        said = [_word(word) for word in merge_punctuation(own) if word.word.strip()]
        fixed = _within(said, duration_s)
        times = {"start": fixed[0].start, "end": fixed[-1].end} if fixed else {}
        given.append(segment.model_copy(update={"words": fixed, **times}))
    return given


def _word(timed: TimedWord) -> Word:
    return Word(
        word=timed.word,
        start=timed.start,
        end=timed.end,
        probability=round(timed.probability, 4),
    )


def _within(words: Sequence[Word], duration_s: float) -> tuple[Word, ...]:
    """Words with times in order, none before the one before it or past the chunk's end."""
    fixed: list[Word] = []
    earliest = 0.0
    for word in words:
        start = min(max(word.start, earliest), duration_s)
        end = min(max(word.end, start), duration_s)
        fixed.append(word.model_copy(update={"start": round(start, 3), "end": round(end, 3)}))
        earliest = end
    return tuple(fixed)
