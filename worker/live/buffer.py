"""The audio of a session that is not dealt with yet, and the committed words in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from worker.audio.constants import SAMPLE_RATE_HZ
from worker.engines.timed_words import TimedWord

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SENTENCE_END = re.compile(r"[.?!。？！]['\"”’)]*$")
_NO_SENTENCE_END = re.compile(r"\b(Mr|Mrs|Ms|Dr|St|Prof|vs|etc|No)\.$")
_CLAUSE_END = re.compile(r"[.?!,;:。？！，、；：]['\"”’)]*$")

_OVERLAP_S = 0.05
"""Audio of the last committed word that is kept, if no word follows it yet."""


@dataclass(frozen=True)
class KeptWord:
    """
    A committed word whose audio is still in the buffer.

    Attributes:
        tokens: The model's.
        start, end: Seconds from the start of the buffer.
    """

    text: str
    tokens: tuple[int, ...]
    start: float
    end: float

    def moved(self, by_s: float) -> KeptWord:
        """The word with other times."""
        return KeptWord(self.text, self.tokens, self.start + by_s, self.end + by_s)


def ends_sentence(text: str) -> bool:
    """
    Whether a word ends a sentence.

    >>> [ends_sentence(text) for text in (" end.", ' "Why?"', " Mr.", " so,", "吗？")]
    [True, True, False, False, True]
    """
    return bool(_SENTENCE_END.search(text)) and not _NO_SENTENCE_END.search(text)


@dataclass
class Buffer:
    """
    Audio from `first` on, and the committed words in it.

    Attributes:
        first: The sample of the session at which it begins.
        samples: (n_samples,) float32.
        words: Committed ones, in order.
    """

    first: int = 0
    samples: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    words: list[KeptWord] = field(default_factory=list)

    @property
    def start_s(self) -> float:
        """Where it begins, in seconds of the session."""
        return self.first / SAMPLE_RATE_HZ

    @property
    def duration_s(self) -> float:
        """Its length in seconds."""
        return len(self.samples) / SAMPLE_RATE_HZ

    @property
    def prefix(self) -> tuple[int, ...]:
        """The tokens of the committed words."""
        return tuple(token for word in self.words for token in word.tokens)

    def add(self, samples: NDArray[np.float32]) -> None:
        """Add audio at its end."""
        self.samples = np.concatenate([self.samples, samples])

    def clear(self, first: int) -> None:
        """Begin again, with nothing, at a sample of the session."""
        self.first, self.samples, self.words = first, np.zeros(0, np.float32), []

    @property
    def end(self) -> int:
        """The sample of the session at which it ends."""
        return self.first + len(self.samples)

    def drop_before(self, sample: int) -> None:
        """Drop the audio before a sample of the session."""
        self._drop(max(0, min(sample, self.end) - self.first))

    def split(self, sample: int) -> NDArray[np.float32]:
        """Take the audio from a sample of the session on out of it."""
        n_kept = max(0, sample - self.first)
        self.samples, rest = self.samples[:n_kept], self.samples[n_kept:]
        return rest

    def retime(self, words: list[TimedWord]) -> None:
        """Take new times of the committed words, which a later hypothesis gave them."""
        for n, (kept, word) in enumerate(zip(self.words, words, strict=False)):
            if kept.text == word.word:
                self.words[n] = KeptWord(kept.text, kept.tokens, word.start, word.end)

    def cut_after(self, index: int) -> None:
        """Drop the audio and the words up to a committed word."""
        word = self.words[index]
        if index + 1 < len(self.words):
            cut_s = (word.end + max(word.end, self.words[index + 1].start)) / 2
        else:
            cut_s = max(word.end - _OVERLAP_S, word.start + _OVERLAP_S)
        self.words = self.words[index + 1 :]
        self._drop(min(int(cut_s * SAMPLE_RATE_HZ), len(self.samples)))

    def sentence_end(self) -> int | None:
        """The last committed word that ends a sentence and is followed by another one."""
        ends = [n for n, word in enumerate(self.words[:-1]) if ends_sentence(word.text)]
        return ends[-1] if ends else None

    def cut_place(self, most_s: float, keep_s: float) -> int | None:
        """
        The committed word after which too long a buffer is best cut; None if there is none.

        Args:
            most_s: A shorter buffer is not cut.
            keep_s: About so much audio should stay.
        """
        duration_s = self.duration_s
        if duration_s <= most_s:
            return None
        limit_s = duration_s - keep_s
        clauses = [
            n for n, word in enumerate(self.words)
            if word.end <= limit_s + 2 and _CLAUSE_END.search(word.text)
        ]  # fmt: skip
        if clauses and self.words[clauses[-1]].end >= duration_s - most_s * 0.8:
            return clauses[-1]
        early = [n for n, word in enumerate(self.words) if word.end <= max(limit_s, 0.5)]
        return early[-1] if early else (clauses[-1] if clauses else None)

    def _drop(self, n_samples: int) -> None:
        self.samples = self.samples[n_samples:]
        self.first += n_samples
        by_s = -n_samples / SAMPLE_RATE_HZ
        self.words = [word.moved(by_s) for word in self.words]
