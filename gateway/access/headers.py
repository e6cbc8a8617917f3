"""The headers of a request, whatever framework it came through."""

from __future__ import annotations

import uuid
from typing import Protocol

USER_HEADER = "X-Remote-User"
"""The user whom a proxy let in. It is read only from trusted proxies."""

KEY_HEADER = "X-API-Key"
AZURE_KEY_HEADER = "api-key"
REQUEST_ID = "X-Request-Id"

_LONGEST_ID = 128


class Headers(Protocol):
    """Headers by name, in any case."""

    def get(self, key: str, /) -> str | None:
        """The value of a header; None if it was not sent."""


def choose_request_id(asked: str | None) -> str:
    """
    The id that a caller gave a request, if it fits into a header and a log line; else a new one.

    >>> choose_request_id("order-66/b")
    'order-66/b'
    >>> [len(choose_request_id(asked)) for asked in (None, "", "a b", "é", "x" * 129)]
    [32, 32, 32, 32, 32]
    """
    is_fit = asked and len(asked) <= _LONGEST_ID and all("!" <= letter <= "~" for letter in asked)
    return asked if asked and is_fit else uuid.uuid4().hex
