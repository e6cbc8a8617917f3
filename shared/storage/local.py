"""Storage in a local or shared directory."""

from __future__ import annotations

import errno
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from shared.errors import StorageFull
from shared.storage.base import KeyNotFound, check_key

_INCOMING = ".incoming"
_ABANDONED_S = 24 * 3600


class LocalStorage:
    """
    Objects as files under one directory.

    An object is written under another name, flushed to disk and renamed, so
    that neither a crash nor a full disk leaves half of one behind.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._incoming = self._root / _INCOMING
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._remove_abandoned()

    @contextmanager
    def create(self, key: str) -> Iterator[BinaryIO]:
        """See `Storage.create`."""
        path = self._path(key)
        part = self._incoming / uuid.uuid4().hex
        try:
            with part.open("xb") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            path.parent.mkdir(parents=True, exist_ok=True)
            part.replace(path)
            _sync_directory(path.parent)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFull(
                    "storage is full; free space in LONGHAND_STORAGE_DIR or delete old jobs"
                ) from error
            raise
        finally:
            part.unlink(missing_ok=True)

    def read(self, key: str) -> bytes:
        """See `Storage.read`."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise KeyNotFound(key) from None

    @contextmanager
    def open_local(self, key: str) -> Iterator[Path]:
        """See `Storage.open_local`."""
        path = self._path(key)
        if not path.is_file():
            raise KeyNotFound(key)
        yield path

    def delete_all(self, prefix: str) -> None:
        """See `Storage.delete_all`."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self._path(prefix))

    def check(self) -> None:
        """See `Storage.check`."""
        probe = self._incoming / uuid.uuid4().hex
        probe.touch()
        probe.unlink()

    def _remove_abandoned(self) -> None:
        """Remove what writers that were killed have left; others may be writing just now."""
        for part in self._incoming.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - part.stat().st_mtime > _ABANDONED_S:
                    part.unlink()

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
