"""Decoded audio of running jobs: a folder for each worker; other workers remove a dead one's."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from shared.starting import naming

_PREFIX = "longhand-worker-"
_LOCK = "lock"


@contextmanager
def own_folder(scratch_dir: Path) -> Iterator[Path]:
    """
    Give this worker a folder of its own during the block.

    The folders of workers that were killed are removed from `scratch_dir`. A worker is alive as
    long as its folder is locked: the lock ends with its process.
    """
    with naming("LONGHAND_SCRATCH_DIR", scratch_dir):
        scratch_dir.mkdir(parents=True, exist_ok=True)
    # One worker at a time makes or removes folders. Otherwise one of them would remove the new
    # folder of another that has not locked it yet.
    with (scratch_dir / f"{_PREFIX}{_LOCK}").open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        for left in scratch_dir.glob(f"{_PREFIX}*/{_LOCK}"):
            with left.open() as lock:
                if _is_ours(lock):
                    shutil.rmtree(left.parent, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=scratch_dir))
        lock = (folder / _LOCK).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()


def _is_ours(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
