"""Text that nobody said: text in silence, loops, and hallucinations."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import TypeVar
from zlib import compress

from shared.transcript import Segment, Word
from worker.engines.base import DecodeOptions

Item = TypeVar("Item")

UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
    "|[\U00020000-\U0003ffff]"
)
"""Characters of scripts written without spaces: Chinese, kana, Thai, Lao, Burmese, Khmer."""

_FEWEST_COPIES = ((2, 10), (6, 6))
"""(size, copies): a phrase of up to this size must come so often in a row to be a loop. People say
"no, no, no", too."""

_FEWEST_COPIES_ELSE = 4

_PROBABLE, _SHORT_S, _LONG_S = 0.15, 0.133, 2.0
"""A word that is less probable, shorter or longer is an anomaly. The figures are Whisper's."""

_EDGE_S = 2.0
"""A chunk is cut in silence: text this near to its ends has silence beside it."""


def is_silent(no_speech_prob: float, avg_logprob: float, options: DecodeOptions) -> bool:
    """Whether nobody seems to speak, as Whisper decides: silence is likely, and the text is not."""
    threshold, confident = options.no_speech_threshold, options.logprob_threshold
    if threshold is None or no_speech_prob <= threshold:
        return False
    return confident is None or avg_logprob < confident


def fails_thresholds(text: str, avg_logprob: float, options: DecodeOptions) -> bool:
    """Whether a text repeats itself too much, or is too improbable, for the request."""
    repeats, confident = options.compression_ratio_threshold, options.logprob_threshold
    if repeats is not None and compression_ratio(text) > repeats:
        return True
    return confident is not None and avg_logprob < confident


def compression_ratio(text: str) -> float:
    """
    How many times smaller a text becomes when it is compressed. A loop compresses well.

    >>> round(compression_ratio("I see. " * 20), 1)
    7.8
    """
    data = text.encode()
    return len(data) / len(compress(data))


def says_something(text: str) -> bool:
    """
    Whether a text has letters or digits; alone, punctuation and music signs say nothing.

    >>> [says_something(text) for text in (" ...", "♪♪", " 5", "好。")]
    [False, False, True, True]
    """
    return any(c.isalnum() for c in text)


def size_of(text: str) -> int:
    """
    The size of a text: 2 for each word, 1 for each character of scripts without spaces.

    >>> size_of(" Thank you."), size_of("谢谢大家。")
    (4, 4)
    """
    n_characters = len(UNSPACED.findall(text))
    return n_characters + 2 * len(re.findall(r"\w+", UNSPACED.sub(" ", text)))


def cut_loops(items: Sequence[Item], text_of: Callable[[Sequence[Item]], str]) -> list[int]:
    """
    Cut every loop to its first copy.

    A model that loops writes one phrase until its tokens are used up, and stops within it. A short
    phrase must come more often to count as a loop, since people repeat themselves, too.

    Args:
        items: Tokens, or texts of segments.
        text_of: Gives the text of a run of items.

    Returns:
        The indices of the items that are left.

    >>> words = ["so", *["I", "see", "it", "now"] * 9, "I", "see"]
    >>> [words[i] for i in cut_loops(words, " ".join)]
    ['so', 'I', 'see', 'it', 'now']
    """
    left: list[int] = []
    at = 0
    while at < len(items):
        length, n_copies = _loop_at(items, at, text_of)
        unit = items[at : at + length]
        left += range(at, at + length)
        at += length * n_copies
        if n_copies > 1 and items[at:] == unit[: len(items) - at]:
            break  # the rest is the copy that was not finished
    return left


def _loop_at(
    items: Sequence[Item], at: int, text_of: Callable[[Sequence[Item]], str]
) -> tuple[int, int]:
    """Length and number of copies of the phrase that loops from here; 1 and 1 if there is none."""
    for length in range(1, (len(items) - at) // _FEWEST_COPIES_ELSE + 1):
        n_copies = _copies(items, at, length)
        if n_copies >= _FEWEST_COPIES_ELSE and n_copies >= _fewest(
            size_of(text_of(items[at : at + length]))
        ):
            return length, n_copies
    return 1, 1


def _copies(items: Sequence[Item], at: int, length: int) -> int:
    unit = items[at : at + length]
    starts = range(at, len(items), length)
    return sum(1 for _ in takewhile(lambda i: items[i : i + length] == unit, starts))


def _fewest(size: int) -> int:
    return next((n for most, n in _FEWEST_COPIES if size <= most), _FEWEST_COPIES_ELSE)


def without_hallucinations(
    segments: Sequence[Segment], threshold_s: float, duration_s: float
) -> list[Segment]:
    """
    Drop segments that stand alone in silence and consist of anomalous words.

    This is openai-whisper's rule for `hallucination_silence_threshold`.

    Args:
        segments: Of one chunk, with words and times from its start.
        threshold_s: How many seconds of silence there must be on each side.
        duration_s: Length of the chunk.
    """
    kept: list[Segment] = []
    heard_until = 0.0
    for index, segment in enumerate(segments):
        following = next((s for s in segments[index + 1 :] if s.words), None)
        next_start = _said(following)[0] if following else duration_s
        start, end = _said(segment)
        quiet_before = start - heard_until > threshold_s or start < max(threshold_s, _EDGE_S)
        quiet_after = (
            next_start - end > threshold_s
            or (following is not None and _is_anomalous(following))
            or duration_s - end < _EDGE_S
        )
        if _is_anomalous(segment) and quiet_before and quiet_after:
            continue
        kept.append(segment.model_copy(update={"id": len(kept)}))
        heard_until = end
    return kept


def _said(segment: Segment) -> tuple[float, float]:
    """When the words of a segment begin and end."""
    words = segment.words or ()
    return (words[0].start, words[-1].end) if words else (segment.start, segment.end)


def _is_anomalous(segment: Segment) -> bool:
    words = [word for word in segment.words or () if says_something(word.word)][:8]
    score = sum(_anomaly(word) for word in words)
    return bool(words) and (score >= 3 or score + 0.01 >= len(words))


def _anomaly(word: Word) -> float:
    duration_s = word.end - word.start
    score = 1.0 if word.probability < _PROBABLE else 0.0
    score += max(0.0, _SHORT_S - duration_s) * 15
    return score + max(0.0, duration_s - _LONG_S)
