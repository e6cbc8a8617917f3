"""How right and how soon the words of a stream are shown: from what a reader saw, and when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from rapidfuzz.distance import Levenshtein

from bench.evaluation.heard import Part
from bench.evaluation.scoring import Counts, units
from bench.evaluation.speech import Utterance

_EARLY_S = 0.3
"""A word that seems to be shown earlier than this before it begins is another one."""

_SILENCE_S, _EDGE_S = 2.0, 0.5
"""A gap between words of this length is a silence, but for its edges."""


@dataclass(frozen=True)
class Seen:
    """
    What a reader sees from a moment on.

    Attributes:
        at_s: Seconds since the stream began to be spoken.
        committed: The text that will not change.
        shown: All text, with what may still change.
    """

    at_s: float
    committed: str
    shown: str


@dataclass
class Measured:
    """
    One stream, or several together. All times are seconds.

    Attributes:
        commit_s, first_s: From the end of a word to when it is committed, and first shown.
        last_s: From the end of each stream to its last change.
        n_changed: Words that were shown and then changed.
        n_committed_changed: Characters of committed text that changed: always 0, or it is wrong.
        n_in_silence: Committed words where nobody speaks.
        cpu_s, audio_s: CPU time, and length of the streams.
    """

    counts: Counts = field(default_factory=Counts)
    commit_s: list[float] = field(default_factory=list)
    first_s: list[float] = field(default_factory=list)
    last_s: list[float] = field(default_factory=list)
    n_shown: int = 0
    n_changed: int = 0
    n_committed_changed: int = 0
    n_in_silence: int = 0
    cpu_s: float = 0.0
    audio_s: float = 0.0

    def extend(self, other: Measured) -> None:
        """Add those of another stream."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def quantile(self, name: str, share: float) -> float:
        """A quantile of `commit_s`, `first_s` or `last_s`; NaN without values."""
        values = getattr(self, name)
        return float(np.quantile(values, share)) if values else float("nan")

    @property
    def changed_per_word(self) -> float:
        """Words that were shown and then changed, for each word of the text."""
        return self.n_changed / max(1, self.n_shown)


def measure(
    said: Sequence[Utterance],
    seen: Sequence[Seen],
    duration_s: float,
    committed: Sequence[Part] = (),
) -> Measured:
    """
    Measure one stream.

    Args:
        said: Each word that is said, and when.
        seen: What was seen, in order of time.
        duration_s: Length of the stream.
        committed: Committed words with their times, if they have times.
    """
    reference, times = timed_units(said)
    shown = [_units(one.shown) for one in seen]
    stable = [_units(one.committed) for one in seen]
    final = stable[-1] if stable else ()
    pairs = dict(_matches(final, reference))
    committed_at = _settled(seen, stable, final)
    changes = zip(seen, seen[1:], strict=False)
    return Measured(
        counts=errors(reference, final),
        commit_s=[committed_at[n] - times[of][1] for n, of in pairs.items()],
        first_s=_first_shown(seen, shown, reference, times),
        last_s=[_last_change(seen) - duration_s] if seen else [],
        n_shown=len(final),
        n_changed=sum(_n_lost(*two) for two in zip(shown, shown[1:], strict=False)),
        n_committed_changed=sum(_n_lost(one.committed, two.committed) for one, two in changes),
        n_in_silence=n_in_silence(said, committed, duration_s),
        audio_s=duration_s,
    )


def errors(reference: Sequence[str], found: Sequence[str]) -> Counts:
    """
    The errors of a text.

    >>> errors(["a", "b", "c"], ["a", "x", "c", "d"])
    Counts(n_words=3, substituted=1, lost=0, invented=1)
    """
    kinds = [edit.tag for edit in Levenshtein.editops(reference, found)]
    return Counts(
        len(reference), kinds.count("replace"), kinds.count("delete"), kinds.count("insert")
    )


def timed_units(said: Sequence[Utterance]) -> tuple[list[str], list[tuple[float, float]]]:
    """
    The units of a whole text that are compared, each with the times of the word that it is from.

    >>> timed_units([Utterance("twenty", 0, 1), Utterance("one", 1, 2), Utterance("it's", 2, 3)])
    (['21', 'it', 'is'], [(0, 1), (2, 3), (2, 3)])
    """
    alone = [(unit, (word.start, word.end)) for word in said for unit in units(word.text)]
    whole = units(" ".join(word.text for word in said))
    times = [(0.0, 0.0)] * len(whole)
    for block in Levenshtein.opcodes([unit for unit, _ in alone], whole):
        for n in range(block.dest_start, block.dest_end):
            source = min(block.src_start + n - block.dest_start, max(block.src_end - 1, 0))
            times[n] = alone[source][1]
    return whole, times


def n_in_silence(said: Sequence[Utterance], words: Iterable[Part], duration_s: float) -> int:
    """
    How many words have all their time where nobody speaks.

    >>> said = [Utterance("a", 0, 1), Utterance("b", 6, 7)]
    >>> n_in_silence(said, [Part("a", 0, 1), Part("thanks", 3, 4)], 7)
    1
    """
    edges = [0.0, *(time for word in said for time in (word.start, word.end)), duration_s]
    gaps = [
        (start + _EDGE_S, end - _EDGE_S)
        for start, end in zip(edges[::2], edges[1::2], strict=True)
        if end - start >= _SILENCE_S
    ]
    return sum(any(low <= w.start and w.end <= high for low, high in gaps) for w in words)


def _settled(
    seen: Sequence[Seen], stable: Sequence[tuple[str, ...]], final: tuple[str, ...]
) -> list[float]:
    """When each unit of the last text was there to stay."""
    at_s = [seen[-1].at_s] * len(final) if seen else []
    n_kept = len(final)
    for one, have in zip(reversed(seen), reversed(stable), strict=True):
        n_kept = min(n_kept, _n_common(have, final))
        at_s[:n_kept] = [one.at_s] * n_kept
    return at_s


def _first_shown(
    seen: Sequence[Seen],
    shown: Sequence[tuple[str, ...]],
    reference: Sequence[str],
    times: Sequence[tuple[float, float]],
) -> list[float]:
    """Seconds from the end of each unit to when it was first shown."""
    first: dict[int, float] = {}
    for one, have in zip(seen, shown, strict=True):
        n_begun = sum(start <= one.at_s + _EARLY_S for start, _ in times)
        for _, of in _matches(have, reference[:n_begun]):
            first.setdefault(of, one.at_s)
    return [at_s - times[of][1] for of, at_s in first.items()]


def _last_change(seen: Sequence[Seen]) -> float:
    final = seen[-1].committed
    return next(one.at_s for one in seen if one.committed == final)


def _matches(found: Sequence[str], reference: Sequence[str]) -> Iterable[tuple[int, int]]:
    """Places of equal units in two texts."""
    for block in Levenshtein.opcodes(found, reference):
        if block.tag == "equal":
            for n in range(block.src_end - block.src_start):
                yield block.src_start + n, block.dest_start + n


def _n_common(one: Sequence[str], other: Sequence[str]) -> int:
    n = 0
    while n < min(len(one), len(other)) and one[n] == other[n]:
        n += 1
    return n


def _n_lost(before: Sequence[str], after: Sequence[str]) -> int:
    """How much at the end of a text is not there any more."""
    return len(before) - _n_common(before, after)


@cache
def _units(text: str) -> tuple[str, ...]:
    return tuple(units(text))
