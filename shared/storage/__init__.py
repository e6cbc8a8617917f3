"""Where bytes live: one interface, local directories for now."""

from __future__ import annotations

from pathlib import Path

from shared.storage.base import FULL, KeyNotFound, Storage, is_full
from shared.storage.local import LocalStorage

__all__ = ["FULL", "KeyNotFound", "Storage", "is_full", "open_storage"]


def open_storage(directory: Path, *, read_only: bool = False) -> Storage:
    """
    Open the storage a site is configured for.

    Args:
        read_only: Make and clear away nothing: for who may not write there, or only looks.
    """
    return LocalStorage(directory, read_only=read_only)
