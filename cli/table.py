"""Tables on a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """
    A line for each row, with columns of equal width.

    >>> table_lines([("name", "size"), ("tiny", "75 MB"), ("large-v3", "3 GB")])
    ['name      size', 'tiny      75 MB', 'large-v3  3 GB']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
