"""Unknown fields of other services' clients: they are ignored, and named in a header."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from flask import Response

HEADER = "X-Longhand-Ignored"
_MOST_NAMES = 20
_CHARACTERS = 64


def name_ignored(answer: Response, names: Iterable[str]) -> None:
    """Name ignored fields in a header: percent-encoded, twenty names at most."""
    named = [quote(name[:_CHARACTERS], safe="[]") for name in names][:_MOST_NAMES]
    if named:
        answer.headers[HEADER] = ", ".join(named)
