"""How much of a model has been downloaded, and whether there is room for the rest."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.sizes import in_words

ReportBytes = Callable[[str, int, int], None]
"""Takes the name of the source, the bytes that have arrived and the bytes of the whole."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


class NoRoom(Exception):
    """The disk is full: no other source would help."""


class Arrivals:
    """
    Counts the bytes that one source sends.

    Args:
        folder: The folder that they are written to.
    """

    def __init__(self, source: str, folder: Path, report: ReportBytes) -> None:
        self._source = source
        self._folder = folder
        self._report = report
        self._n_here = 0
        self._n_whole = 0

    def expect(self, n_bytes: int) -> None:
        """
        Note that so many more bytes will come.

        Raises:
            NoRoom: The disk has less room than that.
        """
        free = shutil.disk_usage(self._folder).free
        if n_bytes > free:
            raise NoRoom(
                f"it needs {in_words(n_bytes)} and {in_words(free)} are free in "
                f"{self._folder.parent}"
            )
        self._n_whole += n_bytes

    def add(self, n_bytes: int) -> None:
        """Note that so many bytes have come; negative if a file begins again."""
        self._n_here += n_bytes
        self._report(self._source, self._n_here, max(self._n_here, self._n_whole))

    @contextmanager
    def room_watched(self) -> Iterator[None]:
        """
        Turn the system's error for a full disk in the block into ours.

        Raises:
            NoRoom: The disk is full.
        """
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise NoRoom(f"the disk of {self._folder.parent} is full") from error
