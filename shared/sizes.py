"""Writes numbers of bytes as people read them."""

from __future__ import annotations


def in_words(n_bytes: int) -> str:
    """
    A number of bytes in the largest unit that fits.

    >>> in_words(2_100_000_000), in_words(500_000_000), in_words(17)
    ('2.1 GB', '500 MB', '17 bytes')
    """
    size = float(n_bytes)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.4g} {unit}"
        size /= 1000
    return f"{size:.4g} GB"
