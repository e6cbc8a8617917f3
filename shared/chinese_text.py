"""A Chinese text in another script, phrase by phrase, and which phrase became which."""

from __future__ import annotations

import re
import threading
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Any

_Table = tuple[int, int, Mapping[str, str]]
"""Longest key, shortest key, replacements: a dictionary as OpenCC holds it."""

_lock = threading.Lock()


@dataclass(frozen=True)
class Converted:
    """
    A text and what was made of it.

    Attributes:
        text: After conversion.
        seams: Where one phrase ends and the next begins, the start and the end of both texts
            among them: pairs of offsets, before and after conversion.
    """

    text: str
    seams: Sequence[tuple[int, int]]

    def offset(self, before: int) -> int:
        """
        Where an offset of the original lies now; within a phrase, in proportion.

        >>> [convert_text("看博客", "s2twp").offset(n) for n in range(4)]  # 看部落格
        [0, 1, 3, 4]
        """
        index = bisect_right(self.seams, before, key=itemgetter(0)) - 1
        start, new_start = self.seams[index]
        if before == start:
            return new_start
        end, new_end = self.seams[index + 1]
        n, n_new = end - start, new_end - new_start
        return new_start + (2 * (before - start) * n_new + n) // (2 * n)  # to the nearest

    def between(self, start: int, end: int) -> str:
        """What was made of the original's characters from `start` to before `end`."""
        return self.text[self.offset(start) : self.offset(end)]


def convert_text(text: str, config: str) -> Converted:
    """
    Convert a text as OpenCC does, and keep track of what became what.

    Args:
        config: One of OpenCC's, such as `s2tw`.

    >>> convert_text("皇后的头发", "s2tw").text
    '皇后的頭髮'
    """
    separator, stages = _dictionaries(config)
    pieces, seams = [], [(0, 0)]
    for index, clause in enumerate(separator.split(text)):
        done = Converted(clause, [(n, n) for n in range(len(clause) + 1)])
        if index % 2 == 0:  # the others are what stands between two clauses
            for tables in stages:
                done = _then(done, _replace(done.text, tables))
        start, new_start = seams[-1]
        seams += [(start + before, new_start + after) for before, after in done.seams[1:]]
        pieces.append(done.text)
    return Converted("".join(pieces), seams)


def _then(first: Converted, second: Converted) -> Converted:
    """One conversion after another: it has the seams that both have."""
    onward = dict(second.seams)
    seams = [(before, onward[after]) for before, after in first.seams if after in onward]
    return Converted(second.text, seams)


def _replace(text: str, tables: Sequence[_Table]) -> Converted:
    """Replace what the tables know, the longest first; each has what those before it left."""
    found: list[tuple[int, int, str]] = []
    spans = [(0, len(text))]
    for longest, shortest, table in tables:
        for length in range(min(longest, len(text)), shortest - 1, -1):
            starts, spans = _look_up(text, spans, length, table)
            found += [(n, n + length, table[text[n : n + length]]) for n in starts]
    found += [(n, n + 1, text[n]) for start, end in spans for n in range(start, end)]
    pieces, seams = [], [(0, 0)]
    for _, end, value in sorted(found):
        pieces.append(value.split(" ")[0])  # of several choices the first
        seams.append((end, seams[-1][1] + len(pieces[-1])))
    return Converted("".join(pieces), seams)


def _look_up(
    text: str, spans: Sequence[tuple[int, int]], length: int, table: Mapping[str, str]
) -> tuple[list[int], list[tuple[int, int]]]:
    """Where within the spans the table knows so many characters, and what is left of the spans."""
    starts, left = [], []
    for start, end in spans:
        n = start
        while n + length <= end:
            if text[n : n + length] not in table:
                n += 1
                continue
            starts.append(n)
            if n > start:
                left.append((start, n))
            start = n = n + length
        if start < end:
            left.append((start, end))
    return starts, left


@cache
def _dictionaries(config: str) -> tuple[re.Pattern[str], Sequence[Sequence[_Table]]]:
    """What stands between clauses, and the dictionaries to apply, in stages."""
    # OpenCC itself tells the new text but not what became what, and nothing public of it does.
    # A test holds that our way through its dictionaries gives its text.
    with _lock:
        reader = _opencc()
        reader.set_conversion(config)
        reader.convert("")  # reads the dictionaries it has not read yet
        return reader.split_chars_re, tuple(reader._dict_chain_data)


@cache
def _opencc() -> Any:
    """One for all configs: it keeps each dictionary once."""
    from opencc import OpenCC

    return OpenCC()
