"""From words to the labels a CTC model is to find: what it can spell, and what it cannot."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

_SPOKEN_PUNCTUATION = frozenset("%&@#‰")
"""Signs that Unicode calls punctuation and everybody reads aloud."""

_APOSTROPHES = str.maketrans("’ʼ＇", "'''")  # noqa: RUF001
_SPACED_WORD = re.compile(r"\s*\S+(?:\s+$)?")
_UNSPACED_WORD = re.compile(r"(?:^\W+)?(?:[A-Za-z0-9]+|\w)\W*")


@dataclass(frozen=True)
class Alphabet:
    """
    What a CTC model can spell.

    Attributes:
        labels: The label of each character, in lower case.
        blank: The label of "nothing new".
        delimiter: The label between words, or None.
        n_labels: All of them. The label of that number is the wildcard, which
            `network.find_labels` lets match anything.
    """

    labels: Mapping[str, int]
    blank: int
    delimiter: int | None
    n_labels: int

    @property
    def wildcard(self) -> int:
        """The label of something said that the model cannot spell."""
        return self.n_labels

    def label(self, character: str) -> int | None:
        """
        The label of a character, or None.

        A letter with an accent the model lacks is spelled without it.

        >>> Alphabet({"e": 5}, blank=0, delimiter=None, n_labels=6).label("É")
        5
        """
        lower = character.lower().translate(_APOSTROPHES)
        for spelled in (lower, unicodedata.normalize("NFKD", lower)[:1]):
            if spelled in self.labels:
                return self.labels[spelled]
        return None


@dataclass(frozen=True)
class Letter:
    """
    One character of a word.

    Attributes:
        word: Which word it is of.
        found: Which of the labels it is, if the model can spell it.
        is_said: False for spaces and punctuation, which take no time.
    """

    character: str
    word: int
    found: int | None
    is_said: bool


@dataclass(frozen=True)
class Spelling:
    """Words as labels: what to find, and which letter each of them is."""

    labels: tuple[int, ...]
    letters: tuple[Letter, ...]

    @property
    def is_known(self) -> bool:
        """Whether the model can spell any of it."""
        return any(letter.found is not None for letter in self.letters)

    @property
    def n_frames(self) -> int:
        """Fewest frames it fits into: between equal labels there is a blank."""
        return len(self.labels) + sum(a == b for a, b in pairwise(self.labels))


def split_words(text: str, *, has_spaces: bool) -> list[str]:
    """
    Words that together give the text, each with the punctuation that belongs to it.

    >>> split_words(" Hello, you. ", has_spaces=True)
    [' Hello,', ' you. ']
    >>> split_words("我用Python。", has_spaces=False)
    ['我', '用', 'Python。']
    """
    found = (_SPACED_WORD if has_spaces else _UNSPACED_WORD).findall(text)
    return found or ([text] if text.strip() else [])


def spell(words: Sequence[str], alphabet: Alphabet, *, has_spaces: bool) -> Spelling:
    """
    Spell words for a model.

    Each run of characters that are said but cannot be spelled is one wildcard:
    were it left out, the letters around it would be found in its sound.
    """
    labels: list[int] = []
    letters: list[Letter] = []
    delimiter = alphabet.delimiter if has_spaces else None
    is_apart = False
    for i, word in enumerate(words):
        # A word of nothing but signs is timed as if they were said: it has to be somewhere.
        is_all_signs = not any(is_said(c) or alphabet.label(c) is not None for c in word)
        for character in word:
            label = None if character.isspace() else alphabet.label(character)
            said = label is not None or is_said(character)
            if said and is_apart and labels and delimiter is not None:
                labels.append(delimiter)
            is_apart = character.isspace() or (is_apart and not said)
            if label is not None:
                labels.append(label)
            elif said and labels[-1:] != [alphabet.wildcard]:
                labels.append(alphabet.wildcard)
            found = None if label is None else len(labels) - 1
            takes_time = said or (is_all_signs and not character.isspace())
            letters.append(Letter(character, i, found, takes_time))
    return Spelling(tuple(labels), tuple(letters))


def is_said(character: str) -> bool:
    """
    Whether a character stands for a sound: letters, digits and signs do, punctuation does not.

    >>> [c for c in "5% (ok), 中!" if is_said(c)]
    ['5', '%', 'o', 'k', '中']
    """
    return unicodedata.category(character)[0] in "LMNS" or character in _SPOKEN_PUNCTUATION
