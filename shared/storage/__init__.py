"""Where bytes live: one interface, local directories for now."""

from __future__ import annotations

from pathlib import Path

from shared.storage.base import KeyNotFound, Storage
from shared.storage.local import LocalStorage

__all__ = ["KeyNotFound", "Storage", "open_storage"]


def open_storage(directory: Path) -> Storage:
    """Open the storage a site is configured for."""
    return LocalStorage(directory)
