"""A disk that is soon full: a real file system, mounted for one test."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from needs import missing


@contextmanager
def small_disk(path: Path, n_bytes: int) -> Iterator[Path]:
    """Mount so many bytes of memory at a new directory within the block."""
    path.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "tmpfs", str(path)],
        capture_output=True,
        text=True,
    )
    if mounting.returncode:
        missing(f"a small disk cannot be mounted here: {mounting.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path) -> Path:
    """Take all that is left of a disk; the file that did."""
    hog = disk / "hog"
    descriptor = os.open(hog, os.O_WRONLY | os.O_CREAT)
    try:
        for n_bytes in (1 << 16, 1 << 12, 1):
            while True:
                try:
                    os.write(descriptor, b"x" * n_bytes)
                except OSError:
                    break
    finally:
        os.close(descriptor)
    return hog
