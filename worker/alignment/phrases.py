"""A segment as it is aligned: its spelling, where to search, and how its times are written."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from shared.transcript import Segment, Word
from worker.alignment.labels import Alphabet, Letter, Spelling, spell, split_words
from worker.alignment.times import Timing, spread, to_characters, word_times
from worker.alignment.values import AlignmentOptions
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource

MARGIN_S = 0.3
"""How far outside a segment its words are searched: Whisper's times may be off by this much."""

LONGEST_S = 60.0
"""A longer segment is not aligned: the memory for attention grows with the square of its length."""

_SHORTEST = 400
"""Samples that the first frame of a model needs."""


@dataclass(frozen=True)
class Phrase:
    """
    A segment that is to be aligned.

    Attributes:
        number: Its index among the segments.
        texts: Its words.
        start, end: The samples to search.
    """

    number: int
    segment: Segment
    texts: tuple[str, ...]
    spelling: Spelling
    start: int
    end: int

    @property
    def n_samples(self) -> int:
        """How many samples to search."""
        return max(0, self.end - self.start)

    @property
    def span_s(self) -> tuple[float, float]:
        """Where to search, in seconds."""
        return self.start / SAMPLE_RATE_HZ, self.end / SAMPLE_RATE_HZ

    @property
    def can_be_aligned(self) -> bool:
        """Whether the model can spell it, and its span is neither too short nor too long."""
        return self.spelling.is_known and _SHORTEST <= self.n_samples <= LONGEST_S * SAMPLE_RATE_HZ

    def untimed_words(self) -> tuple[Word, ...]:
        """Words for a segment without words: each as probable as Whisper's tokens on average."""
        probability = math.exp(min(0.0, self.segment.avg_logprob))
        return tuple(
            Word(word=text, start=0.0, end=0.0, probability=probability) for text in self.texts
        )


def make_phrases(
    segments: Sequence[Segment], audio: AudioSource, alphabet: Alphabet, options: AlignmentOptions
) -> list[Phrase]:
    """Spell every segment, and choose where to search for it."""
    phrases = []
    spans = _spans(segments, audio, options)
    for i, (segment, span) in enumerate(zip(segments, spans, strict=True)):
        if segment.words:
            texts = [word.word for word in segment.words]
        else:
            texts = split_words(segment.text, has_spaces=options.has_spaces)
        spelling = spell(texts, alphabet, has_spaces=options.has_spaces)
        phrases.append(Phrase(i, segment, tuple(texts), spelling, *span))
    return phrases


def _spans(
    segments: Sequence[Segment], audio: AudioSource, options: AlignmentOptions
) -> Iterator[tuple[int, int]]:
    """Where to search for each: with a margin, but at most half the way to its neighbours."""
    ends = [options.after_s, *(segment.end for segment in segments)]
    starts = [*(segment.start for segment in segments[1:]), options.before_s]
    for i, segment in enumerate(segments):
        if not (math.isfinite(segment.start) and math.isfinite(segment.end)):
            yield 0, 0
            continue
        start, end = sorted((segment.start, segment.end))
        low, high = start - MARGIN_S, end + MARGIN_S
        before, after = ends[i], starts[i]
        if before is not None:
            low = min(start, max(low, _middle(before, start)))
        if after is not None:
            high = max(end, min(high, _middle(after, end)))
        first, last = (round(time * SAMPLE_RATE_HZ) for time in (low, high))
        yield max(0, first), min(last, audio.n_samples)


def _middle(neighbour: float, own: float) -> float:
    return (neighbour + own) / 2 if math.isfinite(neighbour) else own


def without_alignment(phrase: Phrase, options: AlignmentOptions) -> Segment:
    """The segment with Whisper's word times; without these, its words are spread over it."""
    segment = phrase.segment
    letters = [letter for letter in phrase.spelling.letters if not letter.character.isspace()]
    if not segment.words:
        times = spread(len(letters), segment.start, max(segment.start, segment.end))
        return with_times(phrase, list(zip(letters, times, strict=True)), options)
    timed: list[tuple[Letter, Timing]] = []
    for number, group in groupby(letters, key=lambda letter: letter.word):
        word, of_word = segment.words[number], list(group)
        timed += zip(of_word, spread(len(of_word), word.start, word.end), strict=True)
    characters = to_characters(timed) if options.wants_characters else None
    return segment.model_copy(update={"chars": characters})


def with_times(
    phrase: Phrase, timed: Sequence[tuple[Letter, Timing]], options: AlignmentOptions
) -> Segment:
    """The segment with new times for its words, and for its characters if they are wanted."""
    given = phrase.segment.words or phrase.untimed_words()
    words = tuple(
        word.model_copy(update={"start": time.start, "end": time.end})
        for word, time in zip(given, word_times(len(given), timed), strict=True)
    )
    characters = to_characters(timed) if options.wants_characters else None
    return phrase.segment.model_copy(update={"words": words, "chars": characters})
