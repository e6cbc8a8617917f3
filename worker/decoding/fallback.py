"""When a chunk is decoded again because its text is in doubt, and which of two texts is kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shared.transcript import Segment
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import Span
from worker.engines.base import DecodeOptions, Decoding

_FALLBACK_LOGPROB = -0.5
_FALLBACK_COMPRESSION_RATIO = 2.0
_WITHOUT_TEXT_S = 1.0
"""Speech without text, in seconds, beyond which a chunk is decoded again."""

_FEWEST_TOKENS_PER_S, _SPARE_TOKENS = 2.0, 2
"""The slowest speech we expect; slow readers speak at 2.5. A segment with more speech than its
text can fill at this rate lacks text: a long segment may hold the text of a short one."""

_USUAL_TOKENS_PER_S = 4.5
"""A text spoken at this rate or slower has all the time it needs."""

_REST_OF_FIRST = 1.8
"""Text is missing only if more than so many times the first burst of speech follows it. Less may be
the rest of a long word, or a breath."""

_REST_OF_REPEATED = 0.8
"""The same for a text that was just written: what follows its burst is likely said again."""

_GAP_S = 1.5
"""A text gap: so much speech without text in one place. The next chunk begins there."""

_LOOP_COMPRESSION_RATIO = 2.2
_MUCH_LESS_PROBABLE = 0.3

_TEXT_TOKENS_BELOW = 50_256
"""The smallest token id that is not text, in every Whisper model."""

_MOST_TOKENS_PER_S, _A_FEW_TOKENS = 6.0, 4
"""Nobody speaks faster. A segment with more tokens than this, and a few, has the wrong text or the
wrong times."""

_IMPOSSIBLE_TOKENS_PER_S, _ANY_TOKENS = 10.0, 3
"""A whole text with more tokens than this, and one word, cannot have been spoken in the chunk."""

_VERY_SHORT_S = 1.0
_HALLUCINATED_WORDS_PER_S, _HALLUCINATED_LOGPROB = 6.0, -1.0
_HALLUCINATIONS = frozenset(
    {
        "thank you", "thank you very much", "thank you so much", "thanks", "thank you for watching",
        "thanks for watching", "you", "bye", "bye bye", "the end", "okay", "merci", "danke",
        "vielen dank", "gracias", "obrigado", "grazie", "谢谢", "謝謝", "ありがとうございました",
        "ご視聴ありがとうございました", "감사합니다", "спасибо",
    }
)  # fmt: skip
"""What Whisper writes most often where there are no words: lower case, without punctuation."""


class TextGap(NamedTuple):
    """Speech without text: after the first `n_before` segments, from `start_s` of the chunk on."""

    n_before: int
    start_s: float


@dataclass(frozen=True)
class Candidate:
    """
    One decoding of a chunk, compared with the speech in it.

    Attributes:
        options: How it was decoded.
        voiced_s: Seconds of speech in the part of the chunk that the text covers.
        without_text_s: Seconds of these that have no text.
        is_rushed: Whether a segment has more text than can be spoken in its time.
        text_gap: The first text gap before or within a segment.
    """

    options: DecodeOptions
    decoding: Decoding
    voiced_s: float
    without_text_s: float
    is_rushed: bool = False
    text_gap: TextGap | None = None

    @classmethod
    def at(
        cls,
        chunk: Span,
        options: DecodeOptions,
        decoding: Decoding,
        voiced: Sequence[Span],
        text_before: str = "",
    ) -> Candidate:
        """
        Compare a decoding of a chunk with the speech in the recording, `voiced`.

        Args:
            text_before: Of the last segment before the chunk.
        """

        def span(start_s: float, end_s: float) -> Span:
            return Span(*(chunk.start + round(at * SAMPLE_RATE_HZ) for at in (start_s, end_s)))

        start, end = span(0.0, decoding.heard_s)
        spoken = [Span(max(v.start, start), min(v.end, end)) for v in voiced]
        spoken = [each for each in spoken if each.start < each.end]
        voiced_s = sum(each.duration_s for each in spoken)
        with_text_s = without_text_s = reached_s = 0.0
        text_gap, is_rushed = None, False
        for n, segment in enumerate(decoding.segments):
            within_s = overlap_s(spoken, span(segment.start, segment.end))
            before_s = overlap_s(spoken, span(reached_s, segment.start))
            rest = _REST_OF_REPEATED if segment.text == text_before else _REST_OF_FIRST
            filled_s = text_fills_s(segment, spoken, chunk.start, rest=rest)
            sparse_s = max(0.0, within_s - filled_s)
            is_rushed |= len(text_tokens(segment)) > _MOST_TOKENS_PER_S * within_s + _A_FEW_TOKENS
            if text_gap is None and max(before_s, sparse_s) > _GAP_S:
                text_gap = TextGap(n, reached_s if before_s > _GAP_S else segment.start)
            with_text_s += within_s
            without_text_s += sparse_s
            reached_s, text_before = segment.end, segment.text
        without_text_s += max(0.0, voiced_s - with_text_s)
        return cls(options, decoding, voiced_s, without_text_s, is_rushed, text_gap)

    @property
    def text(self) -> str:
        """The text of all segments."""
        return _text(self.decoding.segments)


def text_tokens(segment: Segment) -> list[int]:
    """The tokens of a segment's text, without timestamps."""
    return [token for token in segment.tokens if token < _TEXT_TOKENS_BELOW]


def text_fills_s(
    segment: Segment, voiced: Iterable[Span], offset: int = 0, *, rest: float = _REST_OF_FIRST
) -> float:
    """
    Seconds of speech that a segment's text can fill if it is spoken slowly.

    A text that fits into the first burst of speech, with much speech after it, fills that burst
    only: Whisper may write once what is said five times, with a pause after each.

    Args:
        voiced: Speech in the recording, in time order.
        offset: The sample from which the segment's times count.
        rest: How much speech after the first burst, as a multiple of it, is much.
    """
    voiced = list(voiced)
    n_tokens = len(text_tokens(segment))
    slowly_s = (n_tokens + _SPARE_TOKENS) / _FEWEST_TOKENS_PER_S
    start, end = (offset + round(at * SAMPLE_RATE_HZ) for at in (segment.start, segment.end))
    first_s = next((overlap_s([v], Span(start, end)) for v in voiced if start < v.end), 0.0)
    rest_s = overlap_s(voiced, Span(start, end)) - first_s
    is_first = n_tokens <= _USUAL_TOKENS_PER_S * first_s and rest_s > rest * first_s
    return min(slowly_s, first_s) if is_first else slowly_s


def overlap_s(spans: Iterable[Span], other: Span) -> float:
    """
    Seconds of a span that lie within others, which must not overlap each other.

    >>> overlap_s([Span(0, 16_000), Span(32_000, 64_000)], Span(8_000, 48_000))
    1.5
    """
    shared = (min(s.end, other.end) - max(s.start, other.start) for s in spans)
    return sum(n for n in shared if n > 0) / SAMPLE_RATE_HZ


def needs_fallback(candidate: Candidate) -> bool:
    """
    Whether to decode the chunk again, without context.

    Context can mislead a model: it loops, or leaves out sentences. The limits were chosen by
    word errors and processor time on half 0 of the clips of `make eval`. There `base` lost 62
    words of ten-minute files, where faster-whisper with its VAD lost 105.
    """
    found = candidate.decoding
    return (
        found.avg_logprob < _FALLBACK_LOGPROB
        or found.compression_ratio > _FALLBACK_COMPRESSION_RATIO
        or candidate.without_text_s > _WITHOUT_TEXT_S
        or candidate.is_rushed
    )


def is_impossible(candidate: Candidate) -> bool:
    """Whether nobody can have said the text: Whisper may write a sentence for a laugh."""
    n_tokens = sum(len(text_tokens(segment)) for segment in candidate.decoding.segments)
    most = _IMPOSSIBLE_TOKENS_PER_S * candidate.voiced_s + _ANY_TOKENS
    return n_tokens > most or is_known_hallucination(candidate)


def is_known_hallucination(candidate: Candidate) -> bool:
    """
    Whether the whole text is one that Whisper writes for a breath, a laugh or half a word.

    Whisper learned these phrases from the ends of films. People also say them in less than a
    second. Such a text is kept if there was time to say it and the model is sure enough.
    """
    words = re.findall(r"\w+", candidate.text.casefold())
    if candidate.voiced_s >= _VERY_SHORT_S or " ".join(words) not in _HALLUCINATIONS:
        return False
    is_rushed = len(words) > _HALLUCINATED_WORDS_PER_S * candidate.voiced_s
    return is_rushed or candidate.decoding.avg_logprob < _HALLUCINATED_LOGPROB


def repeats_last_word(
    before: Sequence[Segment], with_context: Candidate, without_context: Candidate
) -> bool:
    """
    Whether the text without context only repeats the last word of the chunk before.

    Where a chunk ends within a sentence, the next one may begin with the sound of its last word. A
    model that has the word in its context knows that it is written already.

    Args:
        before: Segments of the chunk before.
        with_context, without_context: Two decodings of this chunk.
    """
    texts = [_text(before), with_context.text, without_context.text]
    words = [text.casefold().split() for text in texts]
    if not with_context.options.context or not all(words):
        return False
    last, first, repeated = words[0][-1], words[1][0], words[2][0]
    return last[-1].isalnum() and repeated == last and first != last


def _text(segments: Sequence[Segment]) -> str:
    return " ".join(segment.text for segment in segments)


def better(with_context: Candidate, without_context: Candidate) -> Candidate:
    """
    The better of two decodings: the one without context, unless it is clearly worse.

    Context makes a text more probable, right or wrong. So the probabilities alone do not decide.
    """
    a, b = with_context.decoding, without_context.decoding
    is_worse = (
        (
            b.compression_ratio > _LOOP_COMPRESSION_RATIO
            and b.compression_ratio > a.compression_ratio
        )
        or b.avg_logprob < a.avg_logprob - _MUCH_LESS_PROBABLE
        or without_context.without_text_s > with_context.without_text_s + _WITHOUT_TEXT_S
    )
    return with_context if is_worse else without_context


def more_probable(first: Candidate, second: Candidate) -> Candidate:
    """
    The better of two decodings at different temperatures.

    One that passes the thresholds of the request comes first. Then one that does not loop, since a
    loop is always probable. Then the more probable one.
    """

    def rank(candidate: Candidate) -> tuple[bool, bool, float]:
        found = candidate.decoding
        no_loop = found.compression_ratio <= _LOOP_COMPRESSION_RATIO
        return not found.fails_thresholds, no_loop, found.avg_logprob

    return max(first, second, key=rank)
