"""What storage is: bytes under keys that are ours, whole or not there at all."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

_KEY = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9._-]*)*")


class KeyNotFound(LookupError):
    """Nothing is stored under that key."""


def check_key(key: str) -> str:
    """
    Return a well-formed key; raise ValueError for any other.

    Keys are made by Longhand and never from a caller's filename.

    >>> check_key("jobs/0f3a/audio")
    'jobs/0f3a/audio'
    """
    if not _KEY.fullmatch(key) or ".." in key:
        raise ValueError(f"{key!r} is not a storage key")
    return key


class Storage(Protocol):
    """Where uploads and results are kept."""

    def create(self, key: str) -> AbstractContextManager[BinaryIO]:
        """
        Open a new object for writing; it appears, whole, when the block ends well.

        Raises:
            StorageFull: There is no room left; nothing is stored.
        """
        ...

    def read(self, key: str) -> bytes:
        """Return a small object whole; raise `KeyNotFound` if there is none."""
        ...

    def open_local(self, key: str) -> AbstractContextManager[Path]:
        """Give the object as a local file for the time of the block, or raise `KeyNotFound`."""
        ...

    def delete_all(self, prefix: str) -> None:
        """Delete every object below `prefix/`; deleting nothing is no error."""
        ...

    def check(self) -> None:
        """Raise OSError if storage cannot be written now."""
        ...
