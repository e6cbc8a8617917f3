"""Whether the text of a chunk is to be believed, and which of two is the better one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shared.transcript import Segment
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import Span
from worker.engines.base import DecodeOptions, Decoding

_DOUBTFUL_LOGPROB = -0.5
_DOUBTFUL_COMPRESSION = 2.0
_UNTOLD_S = 1.0
"""So much speech without text is looked for again."""

_FEWEST_TOKENS_PER_S, _SPARE_TOKENS = 2.0, 2
"""
Of a segment's speech; slow readers need two and a half. More speech than its text can fill is
without text: a long segment may hold the text of a short one.
"""

_USUAL_TOKENS_PER_S = 4.5
"""Said at this rate or slower, a text has all the time it needs."""

_REST_OF_FIRST = 1.8
"""So many times as much voice after it: what is only a long word or a breath is no other text."""

_HOLE_S = 1.5
"""So much speech without text in one place is heard anew, in a chunk that begins there."""

_REPEATS = 2.2
_MUCH_LESS_PROBABLE = 0.3

_TEXT_TOKENS_BELOW = 50_256
"""The smallest id that is not text, in every Whisper model."""

_MOST_TOKENS_PER_S = 6.0
"""Of speech, beyond a few: nobody speaks faster, so the text is another or its times are wrong."""

_A_FEW_TOKENS = 4

_IMPOSSIBLE_TOKENS_PER_S, _ANY_TOKENS = 10.0, 3
"""Of all speech in a chunk, beyond a word: text that cannot have been said in so little time."""


_VERY_SHORT_S = 1.0
_MADE_UP_WORDS_PER_S, _MADE_UP_LOGPROB = 6.0, -1.0
_MADE_UP = frozenset(
    {
        "thank you", "thank you very much", "thank you so much", "thanks", "thank you for watching",
        "thanks for watching", "you", "bye", "bye bye", "the end", "okay", "merci", "danke",
        "vielen dank", "gracias", "obrigado", "grazie", "谢谢", "謝謝", "ありがとうございました",
        "ご視聴ありがとうございました", "감사합니다", "спасибо",
    }
)  # fmt: skip
"""What Whisper writes most where there are no words, as `is_made_up` compares it."""


class Hole(NamedTuple):
    """Speech without text: after so many segments, from `start_s` of the chunk on."""

    n_before: int
    start_s: float


@dataclass(frozen=True)
class Look:
    """
    One decoding of a chunk.

    Attributes:
        options: How it was asked for.
        voiced_s: Seconds of speech, as far as the chunk was heard.
        untold_s: Those of them that have no text.
        is_rushed: Whether a segment holds more text than can be said in its time.
        hole: The first place where there is much speech without text, among segments.
    """

    options: DecodeOptions
    decoding: Decoding
    voiced_s: float
    untold_s: float
    is_rushed: bool = False
    hole: Hole | None = None

    @classmethod
    def at(
        cls, chunk: Span, options: DecodeOptions, decoding: Decoding, voiced: Sequence[Span]
    ) -> Look:
        """What came out for a chunk, beside where a voice is heard in the recording."""

        def span(start_s: float, end_s: float) -> Span:
            return Span(*(chunk.start + round(at * SAMPLE_RATE_HZ) for at in (start_s, end_s)))

        heard = span(0.0, decoding.heard_s)
        spoken = [Span(max(v.start, heard.start), min(v.end, heard.end)) for v in voiced]
        spoken = [each for each in spoken if each.start < each.end]
        voiced_s = sum(each.duration_s for each in spoken)
        told_s = untold_s = reached_s = 0.0
        hole, is_rushed = None, False
        for n, segment in enumerate(decoding.segments):
            n_tokens = len(text_tokens(segment))
            within_s = shared_s(spoken, span(segment.start, segment.end))
            before_s = shared_s(spoken, span(reached_s, segment.start))
            sparse_s = max(0.0, within_s - text_fills_s(segment, spoken, chunk.start))
            is_rushed |= n_tokens > _MOST_TOKENS_PER_S * within_s + _A_FEW_TOKENS
            if hole is None and max(before_s, sparse_s) > _HOLE_S:
                hole = Hole(n, reached_s if before_s > _HOLE_S else segment.start)
            told_s += within_s
            untold_s += sparse_s
            reached_s = segment.end
        untold_s += max(0.0, voiced_s - told_s)
        return cls(options, decoding, voiced_s, untold_s, is_rushed, hole)

    @property
    def text_tokens(self) -> list[int]:
        """The tokens of the whole text, timestamps left out."""
        return [token for segment in self.decoding.segments for token in text_tokens(segment)]


def text_tokens(segment: Segment) -> list[int]:
    """The tokens of a segment's text, timestamps left out."""
    return [token for token in segment.tokens if token < _TEXT_TOKENS_BELOW]


def text_fills_s(segment: Segment, voiced: Iterable[Span], by: int = 0) -> float:
    """
    Seconds of speech that a segment's text can fill: all that it takes when it is said slowly.

    If it can be said in the time until the first pause, it is: a sentence that is said twice,
    with a pause between, may be written once.

    Args:
        voiced: Where a voice is heard in the recording, in time order.
        by: The sample from which the segment's times count.
    """
    voiced = list(voiced)
    n_tokens = len(text_tokens(segment))
    slowly_s = (n_tokens + _SPARE_TOKENS) / _FEWEST_TOKENS_PER_S
    start, end = (by + round(at * SAMPLE_RATE_HZ) for at in (segment.start, segment.end))
    first_s = next((shared_s([v], Span(start, end)) for v in voiced if start < v.end), 0.0)
    rest_s = shared_s(voiced, Span(start, end)) - first_s
    is_first = n_tokens <= _USUAL_TOKENS_PER_S * first_s and rest_s > _REST_OF_FIRST * first_s
    return min(slowly_s, first_s) if is_first else slowly_s


def shared_s(spans: Iterable[Span], other: Span) -> float:
    """
    Seconds of a span that lie in any of others, which do not overlap each other.

    >>> shared_s([Span(0, 16_000), Span(32_000, 64_000)], Span(8_000, 48_000))
    1.5
    """
    shared = (min(s.end, other.end) - max(s.start, other.start) for s in spans)
    return sum(n for n in shared if n > 0) / SAMPLE_RATE_HZ


def is_doubtful(look: Look) -> bool:
    """
    Whether a second look, without context, is worth its time.

    The figures were chosen by errors and processor time on half 0 of the clips of `make eval`.
    """
    found = look.decoding
    return (
        found.avg_logprob < _DOUBTFUL_LOGPROB
        or found.compression_ratio > _DOUBTFUL_COMPRESSION
        or look.untold_s > _UNTOLD_S
        or look.is_rushed
    )


def is_impossible(look: Look) -> bool:
    """Whether nobody can have said so much in so little time: a laugh is heard as a sentence."""
    most = _IMPOSSIBLE_TOKENS_PER_S * look.voiced_s + _ANY_TOKENS
    return len(look.text_tokens) > most or is_made_up(look)


def is_made_up(look: Look) -> bool:
    """
    Whether all that is written is what Whisper writes of a breath, a laugh or half a word.

    It knows these words from the ends of films. Somebody may have said them in less than a
    second, too: then there is time for them, and the model is not that unsure.
    """
    words = re.findall(r"\w+", _said(look).casefold())
    if look.voiced_s >= _VERY_SHORT_S or " ".join(words) not in _MADE_UP:
        return False
    is_rushed = len(words) > _MADE_UP_WORDS_PER_S * look.voiced_s
    return is_rushed or look.decoding.avg_logprob < _MADE_UP_LOGPROB


def says_again(before: Sequence[Segment], told: Look, untold: Look) -> bool:
    """
    Whether a text only repeats the word that the chunk before it broke off with.

    Where a chunk ends within a sentence, its last word may be heard once more at the beginning of
    the next. A model that was told the word knows that it is written already.

    Args:
        before: Segments of the chunk before.
        told, untold: Looks at a chunk with what was said before it, and without.
    """
    texts = [_text(before), _said(told), _said(untold)]
    words = [text.casefold().split() for text in texts]
    if not told.options.context or not all(words):
        return False
    last, first, again = words[0][-1], words[1][0], words[2][0]
    return last[-1].isalnum() and again == last and first != last


def _said(look: Look) -> str:
    return _text(look.decoding.segments)


def _text(segments: Sequence[Segment]) -> str:
    return " ".join(segment.text for segment in segments)


def better(first: Look, second: Look) -> Look:
    """
    Of a look with context and one without: the second, unless it is clearly the worse one.

    Context makes a text more probable, right or wrong, so that its probability says little.
    """
    a, b = first.decoding, second.decoding
    is_worse = (
        (b.compression_ratio > _REPEATS and b.compression_ratio > a.compression_ratio)
        or b.avg_logprob < a.avg_logprob - _MUCH_LESS_PROBABLE
        or second.untold_s > first.untold_s + _UNTOLD_S
    )
    return first if is_worse else second


def likelier(first: Look, second: Look) -> Look:
    """
    Of two looks in the same way, one drawn at a higher temperature: the one to keep.

    One that passes the thresholds of its request; else one that does not repeat itself, since a
    loop is always probable; else the more probable one.
    """

    def rank(look: Look) -> tuple[bool, bool, float]:
        found = look.decoding
        return not found.needs_fallback, found.compression_ratio <= _REPEATS, found.avg_logprob

    return max(first, second, key=rank)
