"""The times of words and characters, from the times of labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from shared.transcript import Character, Word
from worker.alignment.labels import Letter, Spelling
from worker.alignment.values import Method


@dataclass(frozen=True)
class Timing:
    """When a character or word is said, in seconds. A score of 0 marks an interpolated time."""

    start: float
    end: float
    score: float = 0.0


@dataclass(frozen=True)
class Interpolation:
    """
    How a run of characters that the model cannot spell is timed.

    The run lies in the gap between the characters that were found around it. The edges of its
    characters are placed by a method:

    - `nearest`: each at the nearer end of the gap;
    - `linear`: evenly over the gap;
    - `ignore`: evenly over the part of the gap in which Whisper has the word.

    Attributes:
        words: Whisper's words, in the order of the spelling; empty if it timed none.
        start, end: When the segment begins and ends, for runs at its ends.
    """

    method: Method
    words: Sequence[Word]
    start: float
    end: float


@dataclass(frozen=True)
class _Gap:
    """The gap between the letters before and after a run, which are None at a segment's ends."""

    before: Letter | None
    after: Letter | None
    start: float
    end: float

    def clamp(self, time: float) -> float:
        return min(max(time, self.start), self.end)


def time_letters(
    spelling: Spelling, found: Sequence[Timing], interpolation: Interpolation
) -> list[tuple[Letter, Timing]]:
    """
    Give every character its time, in order. Spaces have none.

    Args:
        found: The time of each label of the spelling, in order.
    """
    said = [letter for letter in spelling.letters if letter.is_said]
    times: list[Timing] = []
    for is_found, run in groupby(said, key=lambda letter: letter.found is not None):
        if is_found:
            times += [found[letter.found] for letter in run if letter.found is not None]
            continue
        letters = list(run)
        before = said[len(times) - 1] if times else None
        after = next(iter(said[len(times) + len(letters) :]), None)
        end = found[after.found].start if after and after.found is not None else interpolation.end
        start = times[-1].end if times else min(interpolation.start, end)
        gap = _Gap(before, after, start, max(start, end))
        times += _fill(letters, gap, interpolation)
    return list(_with_silent(spelling.letters, iter(times)))


def _fill(run: Sequence[Letter], gap: _Gap, interpolation: Interpolation) -> Iterator[Timing]:
    if interpolation.method == "ignore" and interpolation.words:
        for number, letters in groupby(run, key=lambda letter: letter.word):
            word, part = interpolation.words[number], list(letters)
            goes_on = gap.before is not None and gap.before.word == number
            start = gap.start if goes_on else gap.clamp(word.start)
            goes_on = gap.after is not None and gap.after.word == number
            end = gap.end if goes_on else gap.clamp(word.end)
            yield from spread(len(part), start, max(start, end))
    elif interpolation.method == "nearest":
        n = len(run)
        middle = (gap.start + gap.end) / 2  # equally near to both ends
        edges = [(gap.start, middle, gap.end)[1 + (2 * i > n) - (2 * i < n)] for i in range(n + 1)]
        yield from (Timing(*pair) for pair in pairwise(edges))
    else:
        yield from spread(len(run), gap.start, gap.end)


def spread(n: int, start: float, end: float) -> Iterator[Timing]:
    """Cut a span into `n` equal parts."""
    edges = [start + (end - start) * i / max(1, n) for i in range(n + 1)]
    return (Timing(*pair) for pair in pairwise(edges))


def _with_silent(
    letters: Sequence[Letter], times_of_said: Iterator[Timing]
) -> Iterator[tuple[Letter, Timing]]:
    """Add punctuation, which takes no time: it lies at the edge of the character before it."""
    for _, group in groupby(letters, key=lambda letter: letter.word):
        word = [letter for letter in group if not letter.character.isspace()]
        times = [next(times_of_said) if letter.is_said else None for letter in word]
        edge = next((time.start for time in times if time), 0.0)
        for letter, time in zip(word, times, strict=True):
            if time is None:
                time = Timing(edge, edge)
            edge = time.end
            yield letter, time


def word_times(n_words: int, timed: Sequence[tuple[Letter, Timing]]) -> list[Timing]:
    """When words are said. A word of spaces only lies where the word before it ends."""
    times = {
        number: Timing(letters[0][1].start, letters[-1][1].end)
        for number, group in groupby(timed, key=lambda pair: pair[0].word)
        if (letters := list(group))
    }
    edge = min((time.start for time in times.values()), default=0.0)
    found: list[Timing] = []
    for number in range(n_words):
        time = times.get(number, Timing(edge, edge))
        edge = time.end
        found.append(time)
    return found


def to_characters(timed: Sequence[tuple[Letter, Timing]]) -> tuple[Character, ...]:
    """Every character except spaces, with its time."""
    return tuple(
        Character(char=letter.character, start=time.start, end=time.end, score=time.score)
        for letter, time in timed
    )
