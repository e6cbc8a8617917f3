"""Words spelled as labels of a CTC model, with a wildcard for what it cannot spell."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

_SPOKEN_PUNCTUATION = frozenset("%&@#‰")
"""Signs that are punctuation in Unicode, but are read aloud."""

_APOSTROPHES = str.maketrans("’ʼ＇", "'''")  # noqa: RUF001
_SPACED_WORD = re.compile(r"\s*\S+(?:\s+$)?")
_UNSPACED_WORD = re.compile(r"(?:^\W+)?(?:[A-Za-z0-9]+|\w)\W*")


@dataclass(frozen=True)
class Alphabet:
    """
    The characters that a CTC model can spell.

    Attributes:
        labels: The label of each character, in lower case.
        blank: The label of no character.
        delimiter: The label between words, or None.
        n_labels: The number of labels. It is also the number of the wildcard, which matches
            anything in `network.find_labels`.
    """

    labels: Mapping[str, int]
    blank: int
    delimiter: int | None
    n_labels: int

    @property
    def wildcard(self) -> int:
        """The label of what the model cannot spell."""
        return self.n_labels

    def label(self, character: str) -> int | None:
        """
        The label of a character, or None.

        An accent that the model does not know is left out.

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
        word: The index of its word.
        found: The index of its label; None if the model cannot spell it.
        is_said: Whether it takes time: spaces and punctuation do not.
    """

    character: str
    word: int
    found: int | None
    is_said: bool


@dataclass(frozen=True)
class Spelling:
    """Words as labels, and as letters that know their labels."""

    labels: tuple[int, ...]
    letters: tuple[Letter, ...]

    @property
    def is_known(self) -> bool:
        """Whether the model can spell any of it."""
        return any(letter.found is not None for letter in self.letters)

    @property
    def n_frames(self) -> int:
        """The fewest frames it fits into. Between equal labels, there must be a blank."""
        return len(self.labels) + sum(a == b for a, b in pairwise(self.labels))


def split_words(text: str, *, has_spaces: bool) -> list[str]:
    """
    Split a text into words; each keeps its punctuation, and together they give the text.

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

    Each run of characters that are said but cannot be spelled becomes one wildcard. Without it,
    the letters around it would be found in its sound.
    """
    labels: list[int] = []
    letters: list[Letter] = []
    delimiter = alphabet.delimiter if has_spaces else None
    is_apart = False
    for i, word in enumerate(words):
        # A word that is only signs gets a time as if they were said: every word needs one.
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
    Whether a character stands for a sound: letters, digits and signs, but not punctuation.

    >>> [c for c in "5% (ok), 中!" if is_said(c)]
    ['5', '%', 'o', 'k', '中']
    """
    return unicodedata.category(character)[0] in "LMNS" or character in _SPOKEN_PUNCTUATION
