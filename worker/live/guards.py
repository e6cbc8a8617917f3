"""
Words that nobody said, in the text of a few seconds of audio.

With only a second of padding, Whisper repeats itself, runs on after the end of the audio, and
writes words in silence far more often than in 30 s: without these rules it doubles the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from worker.engines.hallucinations import says_something
from worker.engines.timed_words import TimedWord

_COPIES = 3
_LONGEST_PHRASE = 12
"""Tokens of a phrase that is searched for copies."""

_LOOKED_BACK = 30
_EDGE_S = 0.06
_NO_LENGTH_S = 0.03
_SPEECH_NEAR_S = 0.1
_FIRST_LATE_S = 0.5
_NO_SPEECH = 0.35
_FASTEST_WORD_S = 0.12


def without_loop(tokens: Sequence[int], n_prefix: int) -> list[int]:
    """
    A text up to the first copy of what it repeats.

    Args:
        n_prefix: Tokens at its beginning that are committed, and stay.

    >>> without_loop([1, 2, 3, 2, 3, 2, 3, 4], 1)
    [1, 2, 3]
    """
    text = list(tokens)
    for start in range(max(0, n_prefix - _LOOKED_BACK), len(text)):
        for size in range(1, _LONGEST_PHRASE + 1):
            copies = [text[start + n * size : start + (n + 1) * size] for n in range(_COPIES)]
            if len(copies[-1]) == size and copies[0] == copies[1] == copies[2]:
                return text[: max(start + size, n_prefix)]
    return text


def spoken_words(
    words: Sequence[TimedWord], n_prefix: int, duration_s: float, speech: Speech
) -> list[TimedWord]:
    """
    The words up to the first that cannot have been said.

    Args:
        words: With times from the start of the audio.
        n_prefix: Tokens of committed words, which stay.
        duration_s: Length of the audio.
    """
    first = n_committed(words, n_prefix)
    for index in range(first, len(words)):
        word, before = words[index], words[index - 1] if index else None
        # The first word is often timed from the start of the audio, where nobody speaks yet.
        end = word.end if index else word.end + _FIRST_LATE_S
        if not speech.is_near(word.start, end):
            return list(words[:index])
        if before is None:
            continue
        if word.start >= duration_s - _EDGE_S:
            return list(words[:index])
        if _length(word) < _NO_LENGTH_S > _length(before):
            return list(words[: max(first, index - 1)])
    return _without_echo(list(words), first)


def _length(word: TimedWord) -> float:
    return word.end - word.start


def n_committed(words: Sequence[TimedWord], n_prefix: int) -> int:
    """How many words at the beginning the committed tokens make up."""
    n_tokens = 0
    for index, word in enumerate(words):
        if n_tokens >= n_prefix:
            return index
        n_tokens += word.n_tokens
    return len(words)


def _without_echo(words: list[TimedWord], first: int) -> list[TimedWord]:
    """Cut words at the end that say again what stands before them, in less time than it takes."""
    texts = [plain(word.word) for word in words]
    for index in range(max(first, 3), len(words) - 1):
        n_left = len(words) - index
        for back in range(max(3, n_left), min(9, index + 1)):
            says_again = texts[index:] == texts[index - back : index - back + n_left]
            if says_again and words[-1].end - words[index].start < _FASTEST_WORD_S * n_left:
                return words[:index]
    return words


def without_copies(words: Sequence[TimedWord]) -> list[TimedWord]:
    """
    Words up to the first copy of a phrase of up to three words that comes three times in a row.

    >>> said = [TimedWord(text, 1, 0, 1, 1.0) for text in " so no no no no".split(" ")[1:]]
    >>> [word.word for word in without_copies(said)]
    ['so', 'no']
    """
    texts = [plain(word.word) for word in words]
    for size in (1, 2, 3):
        for start in range(len(texts) - _COPIES * size + 1):
            copies = [texts[start + n * size : start + (n + 1) * size] for n in range(_COPIES)]
            if copies[0] == copies[1] == copies[2]:
                return list(words[: start + size])
    return list(words)


def plain(text: str) -> str:
    """
    A word without case and punctuation, to compare it.

    >>> plain(" Don't!")
    'dont'
    """
    return re.sub(r"\W", "", text.lower())


def says_anything(words: Sequence[TimedWord]) -> bool:
    """Whether some words have a letter or digit."""
    return says_something("".join(word.word for word in words))


class Speech:
    """
    Where speech is heard in some audio.

    Args:
        probs: The probability of each window.
        window_s: Length of a window, in seconds.
        first_s: Where the first window begins, in seconds from the start of the audio.
    """

    def __init__(self, probs: Sequence[float], window_s: float, first_s: float) -> None:
        self._probs = probs
        self._window_s = window_s
        self._first_s = first_s

    def is_near(self, start: float, end: float) -> bool:
        """Whether speech is heard between two times, or a little beside; True if not measured."""
        first = self._index(start - _SPEECH_NEAR_S)
        heard = self._probs[first : self._index(end + _SPEECH_NEAR_S) + 1]
        return not heard or max(heard) >= _NO_SPEECH

    def after(self, start: float) -> float:
        """Seconds of certain speech after a time."""
        return self._window_s * sum(prob >= 0.5 for prob in self._probs[self._index(start) :])

    def _index(self, time_s: float) -> int:
        return max(0, int((time_s - self._first_s) / self._window_s))
