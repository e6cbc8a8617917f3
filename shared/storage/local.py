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
from shared.storage.base import FULL, KeyNotFound, check_key, is_full

_INCOMING = ".incoming"
_ABANDONED_S = 24 * 3600
_PATIENCE_S = 10.0
"""How long to try again while other processes write or delete in the same folder."""


class LocalStorage:
    """
    Objects as files in one directory.

    An object is written under another name, flushed to disk and renamed, so that neither a crash
    nor a full disk leaves half of one.

    Args:
        read_only: Write nothing at the start: the directory may be read-only or missing.
    """

    def __init__(self, root: Path, *, read_only: bool = False) -> None:
        self._root = root.absolute()
        self._incoming = self._root / _INCOMING
        if not read_only:
            self._incoming.mkdir(parents=True, exist_ok=True)
            self.remove_abandoned()

    @contextmanager
    def create(self, key: str) -> Iterator[BinaryIO]:
        """See `Storage.create`."""
        path = self._path(key)
        part = self._incoming / uuid.uuid4().hex
        with _placed_or_removed(part):
            with part.open("xb") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            _place(part, path)

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

    def link(self, source: str, key: str) -> None:
        """See `Storage.link`."""
        path, part = self._path(key), self._incoming / uuid.uuid4().hex
        try:
            part.hardlink_to(self._path(source))
        except FileNotFoundError:
            raise KeyNotFound(source) from None
        except OSError:  # a file system without hard links, or too many of one file
            with self._path(source).open("rb") as original, self.create(key) as out:
                shutil.copyfileobj(original, out)
            return
        with _placed_or_removed(part):
            _place(part, path)

    def keys(self, prefix: str) -> Iterator[str]:
        """See `Storage.keys`."""
        for folder, _, names in os.walk(self._path(prefix)):
            below = Path(folder).relative_to(self._root)
            for name in names:
                with suppress(ValueError):  # not one of ours
                    yield check_key((below / name).as_posix())

    def written_at(self, key: str) -> float:
        """See `Storage.written_at`."""
        try:
            return self._path(key).stat().st_mtime
        except FileNotFoundError:
            raise KeyNotFound(key) from None

    def delete(self, key: str) -> None:
        """See `Storage.delete`."""
        self._path(key).unlink(missing_ok=True)

    def delete_all(self, prefix: str) -> None:
        """See `Storage.delete_all`."""
        path = self._path(prefix)
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            try:
                shutil.rmtree(path)
            except FileNotFoundError:  # it never was, or another process removes it now
                if not path.exists():
                    return
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:  # else another process writes there now
                    raise
            else:
                return
        raise OSError(errno.ENOTEMPTY, f"others go on writing there: {prefix}")

    def check(self) -> None:
        """See `Storage.check`."""
        probe = self._incoming / uuid.uuid4().hex
        probe.touch()
        probe.unlink()

    def remove_abandoned(self) -> None:
        """See `Storage.remove_abandoned`; other processes may write meanwhile."""
        for part in self._incoming.iterdir():
            with suppress(FileNotFoundError):
                stat = part.stat()
                # With two names it is an old object that is being linked.
                if stat.st_nlink == 1 and time.time() - stat.st_mtime > _ABANDONED_S:
                    part.unlink()

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)


@contextmanager
def _placed_or_removed(part: Path) -> Iterator[None]:
    """Remove an unfinished file when the block ends, however it ends."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise StorageFull(FULL) from error
        raise
    finally:
        # A rename to another name of the same file leaves it there.
        part.unlink(missing_ok=True)


def _place(part: Path, path: Path) -> None:
    """Give a file its name, even if another process deletes the folder meanwhile."""
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.replace(path)
            break
        except (FileNotFoundError, FileExistsError):
            if time.monotonic() > until:
                raise
    with suppress(FileNotFoundError):
        _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
