"""The interface of storage: whole objects, under keys that Longhand makes."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

_KEY = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9._-]*)*")


FULL = "storage is full; free space in LONGHAND_STORAGE_DIR or delete old jobs"
"""The message of `StorageFull`."""


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
    Whether an error says that a disk is full, or a quota used up.

    >>> is_full(OSError(errno.ENOSPC, "No space left on device"))
    True
    """
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


class Storage(Protocol):
    """Objects, which are uploads, results and records, by their keys."""

    def create(self, key: str) -> AbstractContextManager[BinaryIO]:
        """
        Open a new object for writing. It appears, whole, when the block ends without an error.

        Raises:
            StorageFull: There is no room left; nothing is stored.
        """
        ...

    def read(self, key: str) -> bytes:
        """Return a small object whole; raise `KeyNotFound` if there is none."""
        ...

    def open_local(self, key: str) -> AbstractContextManager[Path]:
        """Open the object as a local file within the block, or raise `KeyNotFound`."""
        ...

    def link(self, source: str, key: str) -> None:
        """
        Store the object of `source` under `key` too; it replaces an object that was there.

        If storage can, both share their bytes until both are deleted.

        Raises:
            KeyNotFound: Nothing is stored under `source`.
            StorageFull: There is no room left; nothing is changed.
        """
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Every key below `prefix/`, in any order. Objects that change meanwhile may be missed."""
        ...

    def written_at(self, key: str) -> float:
        """When an object was stored, in seconds since the epoch, or raise `KeyNotFound`."""
        ...

    def delete(self, key: str) -> None:
        """Delete an object; no error if there is none."""
        ...

    def delete_all(self, prefix: str) -> None:
        """Delete every object below `prefix/`; no error if there is none."""
        ...

    def remove_abandoned(self) -> None:
        """Remove unfinished objects of writers that were killed more than a day ago."""
        ...

    def check(self) -> None:
        """Raise OSError if storage cannot be written now."""
        ...
