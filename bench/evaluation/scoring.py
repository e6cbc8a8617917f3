"""Counts words that are right, substituted, lost or invented; measures how wrong times are."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jiwer
import numpy as np
from numpy.typing import NDArray

from bench.evaluation.heard import Heard
from bench.evaluation.speech import Utterance

_SENTENCE_END = re.compile(r"(?<=[.?!。？！])\s+")


@dataclass(frozen=True)
class Counts:
    """Words (characters in Chinese) that were said, and the errors in them."""

    n_words: int = 0
    substituted: int = 0
    lost: int = 0
    invented: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.n_words + other.n_words,
            self.substituted + other.substituted,
            self.lost + other.lost,
            self.invented + other.invented,
        )

    @property
    def n_errors(self) -> int:
        """The number of errors."""
        return self.substituted + self.lost + self.invented

    @property
    def rate(self) -> float:
        """Errors for each word that was said."""
        return self.n_errors / max(1, self.n_words)


@dataclass
class Times:
    """
    Errors of times, in seconds.

    Attributes:
        starts: Of utterances whose first word begins a segment: that segment's start.
        ends: Of utterances whose last word ends a segment: that segment's end.
        nearest_starts: Of every utterance: the nearest start of any segment.
        nearest_ends: Of every utterance: the nearest end of any segment.
    """

    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    nearest_starts: list[float] = field(default_factory=list)
    nearest_ends: list[float] = field(default_factory=list)

    def extend(self, other: Times) -> None:
        """Add those of another file."""
        for name in vars(other):
            getattr(self, name).extend(getattr(other, name))


@dataclass
class Score:
    """
    The errors of one file, or of several together.

    Attributes:
        by_utterance: The errors in each; invented words count for the utterance before them.
    """

    by_utterance: list[Counts] = field(default_factory=list)
    times: Times = field(default_factory=Times)
    cpu_s: float = 0.0

    @property
    def counts(self) -> Counts:
        """All utterances together."""
        return sum(self.by_utterance, Counts())

    def extend(self, other: Score) -> None:
        """Add those of another file."""
        self.by_utterance += other.by_utterance
        self.times.extend(other.times)
        self.cpu_s += other.cpu_s


def score(said: Sequence[Utterance], heard: Heard, language: str = "en") -> Score:
    """
    Compare what was heard in a file with what is said in it.

    Both sides go through openai-whisper's normalizer: what is said utterance by utterance, what was
    heard sentence by sentence. It joins numbers that follow each other. So in a
    whole text the numbers of two sentences would count as an error.
    """
    reference = [units(u.text, language) for u in said]
    owner = [i for i, words in enumerate(reference) for _ in words]
    found = [(word, i) for i, s in enumerate(heard.segments) for word in units(s.text, language)]
    words = [word for word, _ in found]
    chunks = _aligned([word for words_ in reference for word in words_], words)
    by_utterance = _by_utterance(reference, owner, chunks)
    match = {
        chunk.ref_start_idx + i: chunk.hyp_start_idx + i
        for chunk in chunks
        if chunk.type == "equal"
        for i in range(chunk.ref_end_idx - chunk.ref_start_idx)
    }
    times = _times(said, reference, match, [i for _, i in found], heard)
    return Score(by_utterance, times, heard.cpu_s)


def units(text: str, language: str = "en") -> list[str]:
    """
    The units that are compared: words, or in Chinese characters of the Simplified script.

    >>> units("Mr. Brown's 2nd colour? It's ten.")
    ['mister', 'brown', 'is', '2nd', 'color', 'it', 'is', '10']
    >>> units("歡迎, 大家", "zh")
    ['欢', '迎', '大', '家']
    """
    normal = _normalizer(language)
    if language == "zh":
        return list("".join(normal(_simplified().convert(text)).split()))
    return [word for part in _SENTENCE_END.split(text) for word in normal(part).split()]


def n_words_of(text: str) -> int:
    """
    How many words a text has. Where nobody speaks, each is an error.

    >>> n_words_of("[Music] ... thank you")
    3
    """
    return sum(any(c.isalnum() for c in word) for word in text.split())


def word_start_errors(said: Sequence[Utterance], heard: Heard) -> list[float]:
    """Seconds by which recognised words begin too early or too late."""
    reference = [" ".join(units(word.text)) for word in said]
    found = [" ".join(units(word.text)) for word in heard.words]
    return [
        abs(heard.words[chunk.hyp_start_idx + i].start - said[chunk.ref_start_idx + i].start)
        for chunk in _aligned(reference, found)
        if chunk.type == "equal"
        for i in range(chunk.ref_end_idx - chunk.ref_start_idx)
    ]


def _aligned(reference: Sequence[str], found: Sequence[str]) -> list[Any]:
    """jiwer's alignment of two lists of words; one may be empty."""
    if not reference:
        return []
    # jiwer would drop a word without letters; this keeps its place.
    joined = [" ".join(word.replace(" ", "_") or "_" for word in w) for w in (reference, found)]
    return list(jiwer.process_words(*joined).alignments[0])


def _by_utterance(
    reference: Sequence[Sequence[str]], owner: Sequence[int], chunks: Iterable[Any]
) -> list[Counts]:
    found = [Counts(len(words)) for words in reference]
    for chunk in chunks:
        if chunk.type == "insert":
            of = owner[max(0, chunk.ref_start_idx - 1)]
            found[of] += Counts(invented=chunk.hyp_end_idx - chunk.hyp_start_idx)
            continue
        for index in range(chunk.ref_start_idx, chunk.ref_end_idx):
            substituted, lost = chunk.type == "substitute", chunk.type == "delete"
            found[owner[index]] += Counts(substituted=int(substituted), lost=int(lost))
    return found


def _times(
    said: Sequence[Utterance],
    reference: Sequence[Sequence[str]],
    match: dict[int, int],
    segment_of: Sequence[int],
    heard: Heard,
) -> Times:
    """Errors of utterances whose own times are known."""
    times = Times()
    starts = np.array([s.start for s in heard.segments])
    ends = np.array([s.end for s in heard.segments])
    first = 0
    for utterance, words in zip(said, reference, strict=True):
        last = first + len(words) - 1
        if utterance.has_times and words and len(starts):
            times.nearest_starts.append(float(np.abs(starts - utterance.start).min()))
            times.nearest_ends.append(float(np.abs(ends - utterance.end).min()))
            here = match.get(first)
            if here is not None and (here == 0 or segment_of[here - 1] != segment_of[here]):
                times.starts.append(abs(float(starts[segment_of[here]]) - utterance.start))
            here = match.get(last)
            is_end = here is not None and segment_of[here] not in segment_of[here + 1 : here + 2]
            if here is not None and is_end:
                times.ends.append(abs(float(ends[segment_of[here]]) - utterance.end))
        first = last + 1
    return times


@dataclass(frozen=True)
class Interval:
    """The range of 95 of 100 samples, for a difference of error rates and for their ratio."""

    difference: tuple[float, float]
    ratio: tuple[float, float]
    n_utterances: int


def bootstrap(
    ours: Sequence[Counts], theirs: Sequence[Counts], *, n_draws: int = 2_000, seed: int = 0
) -> Interval:
    """How much the error rates of two systems on the same utterances may differ by chance."""
    n = len(ours)
    picks = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_draws)
    rates = [
        picks @ np.array([c.n_errors for c in counts]) / (picks @ _lengths(ours))
        for counts in (ours, theirs)
    ]
    return Interval(_middle(rates[0] - rates[1]), _middle(rates[0] / np.maximum(rates[1], 1e-9)), n)


def _lengths(counts: Sequence[Counts]) -> NDArray[np.int64]:
    return np.array([c.n_words for c in counts])


def _middle(values: NDArray[np.floating]) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


@cache
def _normalizer(language: str) -> Any:
    from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer

    with warnings.catch_warnings():  # its list of spellings is closed only by the garbage collector
        warnings.simplefilter("ignore", ResourceWarning)
        return EnglishTextNormalizer() if language == "en" else BasicTextNormalizer()


@cache
def _simplified() -> Any:
    from opencc import OpenCC

    return OpenCC("t2s")
