"""Measures errors of speaker turns, and counts words with the right speaker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

Turn = tuple[str, float, float]
"""Speaker, start and end in seconds."""


@dataclass(frozen=True)
class Errors:
    """
    Seconds of each kind of error, and of speech. If two people talk, both count.

    Attributes:
        names: The true speaker for each speaker that was found.
    """

    missed: float
    false_alarm: float
    confused: float
    speech: float
    names: Mapping[str, str]

    @property
    def rate(self) -> float:
        """The diarization error rate."""
        return (self.missed + self.false_alarm + self.confused) / self.speech


def compare(true: Sequence[Turn], found: Sequence[Turn]) -> Errors:
    """
    Diarization error without a collar, overlap included, as NIST's md-eval defines it.

    >>> errors = compare([("a", 0, 2), ("b", 2, 4)], [("x", 0, 3), ("y", 3, 4)])
    >>> errors.rate, errors.names
    (0.25, {'x': 'a', 'y': 'b'})
    """
    edges = np.unique([time for turn in (*true, *found) for time in turn[1:]])
    middles, lengths = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    true_names, found_names = _names(true), _names(found)
    speak, said = _active(true, true_names, middles), _active(found, found_names, middles)
    shared = (speak[:, None] & said[None]) @ lengths
    rows, columns = linear_sum_assignment(-shared)
    right = sum(
        (speak[i] & said[j] for i, j in zip(rows, columns, strict=True)),
        start=np.zeros(len(lengths), int),
    )
    n_true, n_found = speak.sum(axis=0), said.sum(axis=0)
    return Errors(
        float(np.maximum(0, n_true - n_found) @ lengths),
        float(np.maximum(0, n_found - n_true) @ lengths),
        float((np.minimum(n_true, n_found) - right) @ lengths),
        float(n_true @ lengths),
        {found_names[j]: true_names[i] for i, j in zip(rows, columns, strict=True)},
    )


def pooled(errors: Iterable[Errors]) -> float:
    """The rate of several recordings together."""
    all_errors = list(errors)
    wrong = sum(each.missed + each.false_alarm + each.confused for each in all_errors)
    return wrong / sum(each.speech for each in all_errors)


def right_words(
    words: Sequence[tuple[str | None, float, float]], true: Sequence[Turn], names: Mapping[str, str]
) -> int:
    """How many words have a speaker who speaks in the middle of the word."""
    return sum(
        any(name == names.get(speaker) and start <= (a + b) / 2 <= end for name, start, end in true)
        for speaker, a, b in words
        if speaker is not None
    )


def _names(turns: Sequence[Turn]) -> list[str]:
    return sorted({turn[0] for turn in turns})


def _active(turns: Sequence[Turn], names: Sequence[str], at: np.ndarray) -> np.ndarray:
    active = np.zeros((len(names), len(at)), bool)
    for name, start, end in turns:
        active[names.index(name)] |= (at > start) & (at < end)
    return active
