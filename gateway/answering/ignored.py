"""Fields that are passed over, and said to be: where strangers' clients send more than we know."""

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
    Part the fields that are known from the names of those that are not.

    >>> split_known({"model": "small", "user": "ann"}, {"model"}.__contains__)
    ({'model': 'small'}, ('user',))
    """
    known = {name: value for name, value in fields.items() if is_known(name)}
    return known, tuple(name for name in fields if name not in known)


def name_ignored(answer: Response, names: Iterable[str]) -> None:
    """Name in a header what was passed over: percent-encoded, twenty names at most."""
    named = [quote(name[:_CHARACTERS], safe="[]") for name in names][:_MOST_NAMES]
    if named:
        answer.headers[HEADER] = ", ".join(named)
