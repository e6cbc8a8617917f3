"""Where audio and results are stored: one interface, for now with a local directory."""

from __future__ import annotations

from pathlib import Path

from shared.storage.base import FULL, KeyNotFound, Storage, is_full
from shared.storage.local import LocalStorage

__all__ = ["FULL", "KeyNotFound", "Storage", "is_full", "open_storage"]


def open_storage(directory: Path, *, read_only: bool = False) -> Storage:
    """
    Open the storage of a site.

    Args:
        read_only: Create and remove nothing when it is opened.
    """
    return LocalStorage(directory, read_only=read_only)
