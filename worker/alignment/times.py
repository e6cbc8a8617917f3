"""From found labels to times of words and characters; what was not found is put in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal

from shared.transcript import Character, Word
from worker.alignment.labels import Letter, Spelling

Method = Literal["nearest", "linear", "ignore"]
"""Where characters go that the model cannot spell; `Guide` says how."""


@dataclass(frozen=True)
class Found:
    """When a character is said, in seconds; a score of 0 says that it was not heard itself."""

    start: float
    end: float
    score: float = 0.0


@dataclass(frozen=True)
class Guide:
    """
    How a run of characters is timed that the model cannot spell.

    It lies in the gap between the characters found around it. The edges of its
    characters are put

    - `nearest`: each at the end of the gap it is nearer to;
    - `linear`: evenly over the gap;
    - `ignore`: evenly over the time Whisper gave the word, as far as that lies in the gap.

    Attributes:
        words: Whisper's words, in the order of the spelling; empty where it timed none.
        start, end: Where the segment lies, for runs at its ends.
    """

    method: Method
    words: Sequence[Word]
    start: float
    end: float


@dataclass(frozen=True)
class _Gap:
    """Between the letters found before and after a run; None at the ends of a segment."""

    before: Letter | None
    after: Letter | None
    start: float
    end: float

    def clamp(self, time: float) -> float:
        return min(max(time, self.start), self.end)


def time_letters(
    spelling: Spelling, found: Sequence[Found], guide: Guide
) -> list[tuple[Letter, Found]]:
    """
    Give every character its time, in order; spaces have none.

    Args:
        found: Of each label of the spelling, in order.
    """
    said = [letter for letter in spelling.letters if letter.is_said]
    times: list[Found] = []
    for is_found, run in groupby(said, key=lambda letter: letter.found is not None):
        if is_found:
            times += [found[letter.found] for letter in run if letter.found is not None]
            continue
        letters = list(run)
        before = said[len(times) - 1] if times else None
        after = next(iter(said[len(times) + len(letters) :]), None)
        end = found[after.found].start if after and after.found is not None else guide.end
        start = times[-1].end if times else min(guide.start, end)
        gap = _Gap(before, after, start, max(start, end))
        times += _fill(letters, gap, guide)
    return list(_with_silent(spelling.letters, iter(times)))


def _fill(run: Sequence[Letter], gap: _Gap, guide: Guide) -> Iterator[Found]:
    if guide.method == "ignore" and guide.words:
        for number, letters in groupby(run, key=lambda letter: letter.word):
            word, part = guide.words[number], list(letters)
            goes_on = gap.before is not None and gap.before.word == number
            start = gap.start if goes_on else gap.clamp(word.start)
            goes_on = gap.after is not None and gap.after.word == number
            end = gap.end if goes_on else gap.clamp(word.end)
            yield from spread(len(part), start, max(start, end))
    elif guide.method == "nearest":
        n = len(run)
        middle = (gap.start + gap.end) / 2  # as near to the one as to the other
        edges = [(gap.start, middle, gap.end)[1 + (2 * i > n) - (2 * i < n)] for i in range(n + 1)]
        yield from (Found(*pair) for pair in pairwise(edges))
    else:
        yield from spread(len(run), gap.start, gap.end)


def spread(n: int, start: float, end: float) -> Iterator[Found]:
    """Cut a span into `n` equal parts."""
    edges = [start + (end - start) * i / max(1, n) for i in range(n + 1)]
    return (Found(*pair) for pair in pairwise(edges))


def _with_silent(
    letters: Sequence[Letter], times_of_said: Iterator[Found]
) -> Iterator[tuple[Letter, Found]]:
    """Punctuation takes no time: it lies at the edge of its word, and stretches no word."""
    for _, group in groupby(letters, key=lambda letter: letter.word):
        word = [letter for letter in group if not letter.character.isspace()]
        times = [next(times_of_said) if letter.is_said else None for letter in word]
        edge = next((time.start for time in times if time), 0.0)
        for letter, time in zip(word, times, strict=True):
            if time is None:
                time = Found(edge, edge)
            edge = time.end
            yield letter, time


def word_times(n_words: int, timed: Sequence[tuple[Letter, Found]]) -> list[Found]:
    """When words are said; one that is all spaces lies where the word before it ended."""
    times = {
        number: Found(letters[0][1].start, letters[-1][1].end)
        for number, group in groupby(timed, key=lambda pair: pair[0].word)
        if (letters := list(group))
    }
    edge = min((time.start for time in times.values()), default=0.0)
    found: list[Found] = []
    for number in range(n_words):
        time = times.get(number, Found(edge, edge))
        edge = time.end
        found.append(time)
    return found


def to_characters(timed: Sequence[tuple[Letter, Found]]) -> tuple[Character, ...]:
    """Every character that is no space, with its time."""
    return tuple(
        Character(char=letter.character, start=time.start, end=time.end, score=time.score)
        for letter, time in timed
    )
