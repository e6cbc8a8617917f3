"""What storage is: bytes under keys that are ours, whole or not there at all."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

_KEY = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9._-]*)*")


FULL = "storage is full; free space in LONGHAND_STORAGE_DIR or delete old jobs"
"""What to say when there is no room left."""


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


def is_full(error: OSError) -> bool:
    """
    Whether an error says that a disk, or what one may use of it, is full.

    >>> is_full(OSError(errno.ENOSPC, "No space left on device"))
    True
    """
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


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

    def link(self, source: str, key: str) -> None:
        """
        Store under `key` what is stored under `source`, in place of what was there.

        Where storage can, both share the same bytes until the last of them is deleted.

        Raises:
            KeyNotFound: Nothing is stored under `source`.
            StorageFull: There is no room left; nothing is changed.
        """
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Every key below `prefix/`, in any order; what comes and goes meanwhile may be missed."""
        ...

    def written_at(self, key: str) -> float:
        """When an object was stored, in seconds since the epoch, or raise `KeyNotFound`."""
        ...

    def delete(self, key: str) -> None:
        """Delete one object; deleting nothing is no error."""
        ...

    def delete_all(self, prefix: str) -> None:
        """Delete every object below `prefix/`; deleting nothing is no error."""
        ...

    def remove_abandoned(self) -> None:
        """Remove what writers that were killed a day ago, or longer, have left behind."""
        ...

    def check(self) -> None:
        """Raise OSError if storage cannot be written now."""
        ...
