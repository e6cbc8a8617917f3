"""Words with the times of a model's cross-attention: joined, and given to their segments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from shared.transcript import Segment, Word
from worker.engines.hallucinations import UNSPACED

INNER = "'’-‐‑.,:/@&_"
"""Marks that may stand within a word, between letters or digits."""

PREPENDED = "\"'“¿([{-"
APPENDED = "\"'.。,，!！?？:：”)]}、"


_LETTER = rf"(?!{UNSPACED.pattern})\w"
_INNER = re.compile(rf"{_LETTER}[{re.escape(INNER)}]?\n[{re.escape(INNER)}]?{_LETTER}")
"""Where two parts of one word meet: between letters, or at a mark between two letters."""


@dataclass
class TimedWord:
    """A word with the times of the model's cross-attention, in seconds from the chunk's start."""

    word: str
    n_tokens: int
    start: float
    end: float
    probability: float


_NOTHING = TimedWord("", 0, 0.0, 0.0, 0.0)


def merge_punctuation(words: Sequence[TimedWord]) -> list[TimedWord]:
    """
    Join punctuation to the word it belongs to; the word keeps its own times.

    The model gives a full stop the pause after it, which is not part of the word.
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
            _append(merged[-1], [word])
        else:
            if merged and opening and word.word.startswith(" ") > opening[0].word.startswith(" "):
                _append(merged[-1], opening)  # "so- no": the mark closes
                opening = []
            before = "".join(mark.word for mark in opening)
            n_before = sum(mark.n_tokens for mark in opening)
            word.word = before + (word.word.lstrip() if opening else word.word)
            word.n_tokens += n_before
            opening = []
            merged.append(word)
    return merged + opening


def _append(word: TimedWord, marks: Sequence[TimedWord]) -> None:
    word.word += "".join(mark.word for mark in marks)
    word.n_tokens += sum(mark.n_tokens for mark in marks)


def join_parts(words: Sequence[TimedWord]) -> list[TimedWord]:
    """
    Join the parts of a word with a mark in it: `l'avion`, `Dis-moi,`, `U.S.` and `3.5` are words.

    Whisper has the mark in a token of its own, and its own programs time ` l` and `'avion`. In
    scripts without spaces nothing is joined.

    >>> parts = [TimedWord(text, 1, n, n + 1, 0.5) for n, text in enumerate((" l", "'avion", " a"))]
    >>> [(word.word, word.start, word.end) for word in join_parts(parts)]
    [(" l'avion", 0, 2), (' a', 2, 3)]
    """
    joined: list[TimedWord] = []
    for word, following in zip(words, [*words, _NOTHING][1:], strict=True):
        if joined and _INNER.search(f"{joined[-1].word}\n{word.word}{following.word}"):
            last = joined[-1]
            n_tokens = last.n_tokens + word.n_tokens
            last.probability = (
                last.probability * last.n_tokens + word.probability * word.n_tokens
            ) / n_tokens
            last.word, last.n_tokens, last.end = last.word + word.word, n_tokens, word.end
        else:
            joined.append(word)
    return joined


def give_words(
    segments: Sequence[Segment], words: Sequence[TimedWord], eot: int, duration_s: float
) -> list[Segment]:
    """
    Give the words of a chunk to its segments. The segments keep their own times.

    Args:
        words: In order, with punctuation apart. Together they hold all text tokens of `segments`.
        eot: The first token id that is not text.
        duration_s: Length of the chunk.
    """
    left = list(words)
    given: list[Segment] = []
    for segment in segments:
        n_tokens = sum(token < eot for token in segment.tokens)
        own: list[TimedWord] = []
        while left and n_tokens > 0:
            n_tokens -= left[0].n_tokens
            own.append(left.pop(0))
        # Only within the segment: a mark at its beginning does not belong to the segment before.
        merged = join_parts(merge_punctuation(own))
        said = [word for word in merged if word.word.strip()]
        given.append(segment.model_copy(update={"words": _within(said, duration_s)}))
    return given


def _within(words: Sequence[TimedWord], duration_s: float) -> tuple[Word, ...]:
    """The words with times in order and within the chunk."""
    fixed: list[Word] = []
    earliest = 0.0
    for word in words:
        start = min(max(word.start, earliest), duration_s)
        earliest = min(max(word.end, start), duration_s)
        times = {"start": round(start, 3), "end": round(earliest, 3)}
        fixed.append(Word(word=word.word, probability=round(word.probability, 4), **times))
    return tuple(fixed)
