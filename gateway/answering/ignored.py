"""Unknown fields of other services' clients: they are ignored, and named in a header."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from urllib.parse import quote

from flask import Response

HEADER = "X-Longhand-Ignored"
_MOST_NAMES = 20
_CHARACTERS = 64


def split_known(
    fields: dict[str, str | list[str]], is_known: Callable[[str], bool]
) -> tuple[dict[str, str | list[str]], tuple[str, ...]]:
    """
    Split fields into the known ones and the names of the others.

    >>> split_known({"model": "small", "user": "ann"}, {"model"}.__contains__)
    ({'model': 'small'}, ('user',))
    """
    known = {name: value for name, value in fields.items() if is_known(name)}
    return known, tuple(name for name in fields if name not in known)


def name_ignored(answer: Response, names: Iterable[str]) -> None:
    """Name ignored fields in a header: percent-encoded, twenty names at most."""
    named = [quote(name[:_CHARACTERS], safe="[]") for name in names][:_MOST_NAMES]
    if named:
        answer.headers[HEADER] = ", ".join(named)
