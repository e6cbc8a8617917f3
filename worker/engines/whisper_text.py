"""From the tokens of a chunk to segments and words, the same for every Whisper engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from shared.transcript import Segment
from worker.audio.constants import SECONDS_PER_TIME_TOKEN
from worker.engines.base import Chunk, DecodeOptions, Decoding, Guess
from worker.engines.hallucinations import (
    compression_ratio,
    cut_loops,
    fails_thresholds,
    is_silent,
    says_something,
    without_hallucinations,
)
from worker.engines.timed_words import TimedWord, give_words
from worker.engines.tokenizer import WhisperTokenizer

MOST_TOKENS = 220
"""A text with so many tokens was cut off: there is room for 224, half of what the decoder holds."""


@dataclass(frozen=True)
class TokenSpan:
    """Text tokens between two timestamps; times in seconds from the chunk's start."""

    start: float
    end: float
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class SplitText:
    """
    Decoded tokens, cut into segments at their timestamps.

    Attributes:
        spans: The segments that are complete.
        heard_s: Where the text ends, in seconds from the chunk's start.
    """

    spans: tuple[TokenSpan, ...]
    heard_s: float


def split_by_timestamps(
    tokens: Sequence[int], timestamp_begin: int, duration_s: float
) -> SplitText:
    """
    Cut decoded tokens into segments at their timestamp tokens.

    If a sentence does not fit into the chunk, Whisper ends the text before it with two timestamps:
    the text ends there. With one timestamp at the end, or none, it covers the whole chunk. A text
    that was cut off ends with its last complete segment, if it has one. openai-whisper and
    faster-whisper do the same.

    >>> split_by_timestamps([100, 7, 150, 150, 9, 175], timestamp_begin=100, duration_s=2.0)
    SplitText(spans=(TokenSpan(start=0.0, end=1.0, tokens=(100, 7, 150)), \
TokenSpan(start=1.0, end=1.5, tokens=(150, 9, 175))), heard_s=2.0)
    >>> split_by_timestamps([100, 7, 150, 150], timestamp_begin=100, duration_s=2.0).heard_s
    1.0
    """
    spans: list[TokenSpan] = []
    run: list[int] = []
    start = last = 0.0
    has_text = False
    for token in tokens:
        if token < timestamp_begin:
            run.append(token)
            has_text = True
            continue
        last = min((token - timestamp_begin) * SECONDS_PER_TIME_TOKEN, duration_s)
        if has_text:
            spans.append(TokenSpan(start, max(start, last), (*run, token)))
            run, has_text = [], False
        else:
            run = [token]
        start = last
    breaks_off = has_text and bool(spans) and len(tokens) >= MOST_TOKENS
    if has_text and not breaks_off:
        spans.append(TokenSpan(start, max(start, duration_s), tuple(run)))
    more_follows = bool(spans) and min(tokens[-2:]) >= timestamp_begin
    return SplitText(tuple(spans), last if breaks_off or more_follows else duration_s)


@dataclass(frozen=True)
class Output:
    """
    What a model gives for one chunk.

    Attributes:
        avg_logprob: Mean log probability of the tokens.
        language: The language of the text, and how probable it is if it was detected.
    """

    tokens: Sequence[int]
    avg_logprob: float
    no_speech_prob: float
    language: Guess


def make_decoding(
    chunk: Chunk,
    output: Output,
    tokenizer: WhisperTokenizer,
    time_words: Callable[[list[int]], list[TimedWord]],
) -> Decoding:
    """
    The text of a chunk without hallucinations; no segments if nobody seems to speak.

    Args:
        time_words: Gives the words of text tokens. Called only if word times are needed.
    """
    options = chunk.options
    text = _text_of(output.tokens, tokenizer)
    split = split_by_timestamps(output.tokens, tokenizer.timestamp_begin, chunk.duration_s)
    found = Decoding(
        (),
        output.language.language,
        chunk.duration_s,
        language_probability=output.language.probability,
        avg_logprob=output.avg_logprob,
        compression_ratio=compression_ratio(text),
    )
    if is_silent(output.no_speech_prob, output.avg_logprob, options):
        return found
    left = _without_copies(split.spans, options, tokenizer)
    segments = make_segments(chunk, output, [split.spans[i] for i in left], tokenizer)
    uncut: list[Segment] = []
    # A text that was cut off looped until its tokens were used up: nobody said that.
    if len(left) < len(split.spans) and len(output.tokens) < MOST_TOKENS:
        uncut = make_segments(chunk, output, split.spans, tokenizer)
    return replace(
        found,
        segments=_with_words(segments, chunk, tokenizer, time_words),
        heard_s=split.heard_s,
        fails_thresholds=fails_thresholds(text, output.avg_logprob, options),
        uncut=_with_words(uncut, chunk, tokenizer, time_words),
    )


def _without_copies(
    spans: Sequence[TokenSpan], options: DecodeOptions, tokenizer: WhisperTokenizer
) -> Sequence[int]:
    """The spans that are left after loops are cut; all if the request lets texts repeat."""
    if options.compression_ratio_threshold is None:
        return range(len(spans))
    return cut_loops([_text_of(span.tokens, tokenizer) for span in spans], "".join)


def _with_words(
    segments: list[Segment],
    chunk: Chunk,
    tokenizer: WhisperTokenizer,
    time_words: Callable[[list[int]], list[TimedWord]],
) -> tuple[Segment, ...]:
    """The segments, with words if they are wanted, and without hallucinations."""
    options = chunk.options
    silence_s = options.hallucination_silence_threshold
    if segments and (options.word_timestamps or silence_s is not None):
        tokens = [t for segment in segments for t in segment.tokens if t < tokenizer.eot]
        segments = give_words(segments, time_words(tokens), tokenizer.eot, chunk.duration_s)
    if silence_s is not None:
        segments = without_hallucinations(segments, silence_s, chunk.duration_s)
    if not options.word_timestamps:
        segments = [segment.model_copy(update={"words": None}) for segment in segments]
    return tuple(segments)


def make_segments(
    chunk: Chunk, output: Output, spans: Sequence[TokenSpan], tokenizer: WhisperTokenizer
) -> list[Segment]:
    """
    The segments of one chunk that have words, with times from its start.

    Loops within a segment are cut.
    """
    segments: list[Segment] = []
    # Without this threshold, the caller keeps real refrains, and loops as well.
    cuts = chunk.options.compression_ratio_threshold is not None
    for span in spans:
        cut = _without_loops(span, tokenizer) if cuts else span
        text = _text_of(cut.tokens, tokenizer)
        if not says_something(text):
            continue
        segments.append(
            Segment(
                id=len(segments),
                seek=0,
                start=round(cut.start, 3),
                end=round(cut.end, 3),
                text=text,
                tokens=cut.tokens,
                temperature=chunk.options.temperature,
                avg_logprob=round(output.avg_logprob, 6),
                compression_ratio=round(compression_ratio(text), 6),
                no_speech_prob=round(output.no_speech_prob, 6),
                language=output.language.language if chunk.options.language is None else None,
            )
        )
    return segments


def _text_of(tokens: Sequence[int], tokenizer: WhisperTokenizer) -> str:
    return tokenizer.decode([token for token in tokens if token < tokenizer.eot])


def _without_loops(span: TokenSpan, tokenizer: WhisperTokenizer) -> TokenSpan:
    text = [token for token in span.tokens if token < tokenizer.eot]
    left = cut_loops(text, lambda tokens: tokenizer.decode(list(tokens)))
    if len(left) == len(text):
        return span
    n_before = 0 if span.tokens[0] < tokenizer.eot else 1
    n_after = 0 if span.tokens[-1] < tokenizer.eot else 1
    marks = span.tokens[:n_before], span.tokens[len(span.tokens) - n_after :]
    return replace(span, tokens=(*marks[0], *(text[i] for i in left), *marks[1]))
