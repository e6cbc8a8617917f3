"""Conversion of Chinese text to another script, phrase by phrase, with the offsets of phrases."""

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
"""A dictionary of OpenCC: length of its longest key, of its shortest key, and replacements."""

_lock = threading.Lock()


@dataclass(frozen=True)
class Converted:
    """
    A converted text, with the offsets of its phrases in both texts.

    Attributes:
        text: The text after conversion.
        seams: Where one phrase ends and the next begins, as pairs of offsets: before and after
            conversion. Start and end of the texts are included.
    """

    text: str
    seams: Sequence[tuple[int, int]]

    def offset(self, before: int) -> int:
        """
        The offset after conversion of an offset before it; within a phrase, in proportion.

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
        """The conversion of the original's characters from `start` to before `end`."""
        return self.text[self.offset(start) : self.offset(end)]


def convert_text(text: str, config: str) -> Converted:
    """
    Convert a text as OpenCC does, and keep the offsets of phrases.

    Args:
        config: A configuration of OpenCC, such as `s2tw`.

    >>> convert_text("皇后的头发", "s2tw").text
    '皇后的頭髮'
    """
    separator, stages = _dictionaries(config)
    pieces, seams = [], [(0, 0)]
    for index, clause in enumerate(separator.split(text)):
        done = Converted(clause, [(n, n) for n in range(len(clause) + 1)])
        if index % 2 == 0:  # the others are separators between clauses
            for tables in stages:
                done = _then(done, _replace(done.text, tables))
        start, new_start = seams[-1]
        seams += [(start + before, new_start + after) for before, after in done.seams[1:]]
        pieces.append(done.text)
    return Converted("".join(pieces), seams)


def _then(first: Converted, second: Converted) -> Converted:
    """Two conversions in a row, with the seams that both have."""
    onward = dict(second.seams)
    seams = [(before, onward[after]) for before, after in first.seams if after in onward]
    return Converted(second.text, seams)


def _replace(text: str, tables: Sequence[_Table]) -> Converted:
    """Replace the keys of tables, the longest first; a table gets what those before it left."""
    found: list[tuple[int, int, str]] = []
    spans = [(0, len(text))]
    for longest, shortest, table in tables:
        for length in range(min(longest, len(text)), shortest - 1, -1):
            starts, spans = _look_up(text, spans, length, table)
            found += [(n, n + length, table[text[n : n + length]]) for n in starts]
    found += [(n, n + 1, text[n]) for start, end in spans for n in range(start, end)]
    pieces, seams = [], [(0, 0)]
    for _, end, value in sorted(found):
        pieces.append(value.split(" ")[0])  # the first of several choices
        seams.append((end, seams[-1][1] + len(pieces[-1])))
    return Converted("".join(pieces), seams)


def _look_up(
    text: str, spans: Sequence[tuple[int, int]], length: int, table: Mapping[str, str]
) -> tuple[list[int], list[tuple[int, int]]]:
    """Where in the spans a key of this length begins, and what is left of the spans."""
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
    """The pattern of separators between clauses, and the dictionaries of each stage."""
    # OpenCC gives only the new text, no offsets. So we apply its dictionaries ourselves, through
    # private attributes. A test checks that the text is the same as OpenCC's.
    with _lock:
        reader = _opencc()
        reader.set_conversion(config)
        reader.convert("")  # loads the dictionaries of this configuration
        return reader.split_chars_re, tuple(reader._dict_chain_data)


@cache
def _opencc() -> Any:
    """One instance for all configurations: it loads each dictionary once."""
    from opencc import OpenCC

    return OpenCC()
