"""A log file that several processes write to: gateway, worker and the worker's children."""

from __future__ import annotations

import fcntl
import logging
import os
from io import TextIOWrapper
from pathlib import Path

KEPT_FILES = 5
"""Full files that stay beside the one in use, as `app.log.1`, the newest, to `app.log.5`."""


class SharedLogFile(logging.FileHandler):
    """
    Appends lines to a file, and puts a full one aside.

    The standard library's `RotatingFileHandler` is for one process: of two, each
    would put aside what the other has just begun. Here they take turns by a lock
    beside the file, and each finds by its inode that another has put it aside.

    Args:
        path: Its folder is made if there is none.
        max_bytes: From this size on the file is full.

    Raises:
        OSError: The file cannot be written.
    """

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, encoding="utf-8")
        self._path = path.absolute()
        self._max_bytes = max_bytes

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:
            stream = self.stream
            if stream is None or self._is_put_aside(stream):
                stream = self._open_again(stream)
            if os.fstat(stream.fileno()).st_size >= self._max_bytes:
                self._put_aside(stream)
        except OSError:
            self.handleError(record)
        super().emit(record)

    def _is_put_aside(self, stream: TextIOWrapper) -> bool:
        try:
            here = self._path.stat()
        except FileNotFoundError:
            return True
        return not os.path.samestat(here, os.fstat(stream.fileno()))

    def _open_again(self, old: TextIOWrapper | None) -> TextIOWrapper:
        fresh = self.stream = self._open()
        if old is not None:
            old.close()
        return fresh

    def _put_aside(self, stream: TextIOWrapper) -> None:
        with self._numbered("lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._is_put_aside(stream):  # by another, meanwhile
                for n in range(KEPT_FILES - 1, 0, -1):
                    if self._numbered(n).exists():
                        self._numbered(n).replace(self._numbered(n + 1))
                self._path.replace(self._numbered(1))
            self._open_again(stream)

    def _numbered(self, suffix: int | str) -> Path:
        return self._path.with_name(f"{self._path.name}.{suffix}")
