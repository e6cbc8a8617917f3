"""Folders that appear complete: built under a hidden name, by one process at a time, then moved."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from worker.models.manifest import read_manifest, write_manifest


def move_in(part: Path, folder: Path) -> None:
    """
    Move the files in `part` to the model's folder. Files that are there already stay.

    The weights are moved last, because a model is found by them.
    """
    if not folder.exists():
        part.replace(folder)
        return
    old, new = read_manifest(folder), read_manifest(part)
    merged = new if "model.bin" in new.files else replace(new, revision=old.revision, own=old.own)
    write_manifest(part, replace(merged, files={**old.files, **new.files}))
    arrived = [path for path in part.rglob("*") if path.is_file()]
    for path in sorted(arrived, key=lambda path: path.suffix in (".bin", ".pt")):
        target = folder / path.relative_to(part)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)


@contextmanager
def alone(folder: Path) -> Iterator[Path]:
    """
    Hold the lock of a folder during the block; gives the path for a hidden folder beside it.

    If several workers share a directory, one downloads and the others wait.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{folder.name}.part")
    with _locked(folder.with_name(f".{folder.name}.lock")):
        shutil.rmtree(part, ignore_errors=True)  # left by a process that was killed
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a file lock during the block; the file is removed with it."""
    while True:
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_same(path, lock.fileno()):
                continue  # the last holder has removed this file, and others lock a newer one
            try:
                yield
                return
            finally:
                path.unlink()


def _is_same(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
