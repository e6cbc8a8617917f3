"""Texts as they are compared: by their words."""

from __future__ import annotations

import re
from pathlib import Path

_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def words(text: str) -> list[str]:
    """Words in lower case without punctuation, small numbers spelled."""
    found = re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower().replace("’", "'"))
    return [_NUMBERS[int(w)] if w.isdecimal() and int(w) < len(_NUMBERS) else w for w in found]


def word_errors(expected: str, got: str) -> int:
    """
    How many words were put in, left out or put for another.

    >>> word_errors("It took two hours, Ann.", "it took 2 hours")
    1
    """
    wanted, found = words(expected), words(got)
    row = list(range(len(found) + 1))
    for n, word in enumerate(wanted, 1):
        above, row = row, [n]
        for m, other in enumerate(found, 1):
            row.append(min(above[m] + 1, row[m - 1] + 1, above[m - 1] + (word != other)))
    return row[-1]


def spoken_text(table: Path) -> str:
    """What is said in a sample, by its table of turns: `start end speaker text`."""
    lines = table.read_text(encoding="utf-8").splitlines()
    return " ".join(line.split(maxsplit=3)[3] for line in lines)
