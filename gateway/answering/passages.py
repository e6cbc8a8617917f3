"""Utterances, sentences and paragraphs, as other services answer them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from shared.formats.sentences import ends_sentence, split_sentences
from shared.transcript import Segment, Transcript, Word

_MOST_SENTENCES = 5
"""Most sentences of a paragraph."""

_PARAGRAPH_PAUSE_S = 2.0


@dataclass(frozen=True)
class Passage:
    """
    Some words that follow each other, with times in seconds.

    Attributes:
        words: Empty if word times were not asked for.
        sentences: Those of a paragraph; else empty.
    """

    text: str
    words: tuple[Word, ...]
    start: float
    end: float
    speaker: str | None = None
    sentences: tuple[Passage, ...] = ()

    @property
    def confidence(self) -> float:
        """The mean probability of its words."""
        return confidence_of(self.words)


def confidence_of(words: Sequence[Word]) -> float:
    """The mean probability of some words; 0 without words."""
    return round(sum(word.probability for word in words) / len(words), 4) if words else 0.0


def all_words(transcript: Transcript) -> tuple[Word, ...]:
    """Every word, in order."""
    return words_of(transcript.segments)


def words_of(segments: Iterable[Segment]) -> tuple[Word, ...]:
    """Every word of some segments, in order."""
    return tuple(word for segment in segments for word in segment.words or ())


def text_of(words: Iterable[Word]) -> str:
    """Some words as one text; each holds the space before it."""
    return "".join(word.word for word in words).strip()


def bare(word: str) -> str:
    """
    A word without punctuation around it; a word of punctuation alone stays as it is.

    >>> [bare(word) for word in (" Don't,", "«Oui»", "-", "3.5%", "$7")]
    ["Don't", 'Oui', '-', '3.5', '$7']
    """
    whole = word.strip()
    first, last = 0, len(whole)
    while first < last and _is_punctuation(whole[first]):
        first += 1
    while last > first and _is_punctuation(whole[last - 1]):
        last -= 1
    return whole[first:last] or whole


def bare_text(words: Iterable[Word]) -> str:
    """Words as one text, without punctuation around them."""
    spaced = ((" " if word.word[:1].isspace() else "", bare(word.word)) for word in words)
    return "".join(before + word for before, word in spaced).strip()


def _is_punctuation(letter: str) -> bool:
    return unicodedata.category(letter).startswith("P")


def utterances_of(tidied: Transcript, *, pause_s: float | None = None) -> list[Passage]:
    """
    Everything that one speaker says before another speaks.

    Args:
        pause_s: A pause of this many seconds also ends an utterance; None for any pause.
    """
    found: list[Passage] = []
    run: list[Word] = []
    for segment in tidied.segments:
        if not segment.words:
            found += [*_utterance(run), *_whole(segment)]
            run = []
            continue
        for word in segment.words:
            if run and _is_cut(run[-1], word, pause_s):
                found += _utterance(run)
                run = []
            run.append(word)
    return [*found, *_utterance(run)]


def _is_cut(before: Word, word: Word, pause_s: float | None) -> bool:
    if before.speaker != word.speaker:
        return True
    return pause_s is not None and word.start - before.end >= pause_s


def _utterance(words: Sequence[Word]) -> Iterator[Passage]:
    if words:
        span = words[0].start, words[-1].end
        yield Passage(text_of(words), tuple(words), *span, speaker=words[0].speaker)


def _whole(segment: Segment) -> Iterator[Passage]:
    if text := segment.text.strip():
        words = tuple(segment.words or ())
        yield Passage(text, words, segment.start, segment.end, speaker=segment.speaker)


def sentences_of(tidied: Transcript) -> list[Passage]:
    """Every sentence, of one speaker each; it may run over several segments."""
    found: list[Passage] = []
    for segment in split_sentences(tidied).segments:
        for part in _whole(segment):
            if found and _runs_on(found[-1], part):
                part = _joined(found.pop(), part, segment.text)
            found.append(part)
    return found


def _runs_on(before: Passage, part: Passage) -> bool:
    if before.speaker != part.speaker or part.start - before.end >= _PARAGRAPH_PAUSE_S:
        return False
    return not ends_sentence(before.text, " ", part.text)


def _joined(before: Passage, part: Passage, written: str) -> Passage:
    between = " " if written[:1].isspace() else ""
    words = before.words + part.words
    text = f"{before.text}{between}{part.text}"
    return Passage(text, words, before.start, part.end, speaker=before.speaker)


def paragraphs_of(tidied: Transcript) -> list[Passage]:
    """Sentences of one speaker, five at most, without a pause of 2 s between them."""
    groups: list[list[Passage]] = []
    for before, sentence in pairwise([None, *sentences_of(tidied)]):
        assert sentence is not None
        if before is None or _begins_anew(before, sentence, len(groups[-1])):
            groups.append([])
        groups[-1].append(sentence)
    between = "" if _is_without_spaces(tidied) else " "
    return [_paragraph(group, between) for group in groups]


def _begins_anew(before: Passage, sentence: Passage, n_sentences: int) -> bool:
    has_paused = sentence.start - before.end >= _PARAGRAPH_PAUSE_S
    return has_paused or before.speaker != sentence.speaker or n_sentences >= _MOST_SENTENCES


def _is_without_spaces(tidied: Transcript) -> bool:
    return not any(segment.text[:1].isspace() for segment in tidied.segments)


def _paragraph(sentences: Sequence[Passage], between: str) -> Passage:
    first, last = sentences[0], sentences[-1]
    words = tuple(word for sentence in sentences for word in sentence.words)
    text = between.join(sentence.text for sentence in sentences)
    span = first.start, last.end
    return Passage(text, words, *span, speaker=first.speaker, sentences=tuple(sentences))
