"""gateway.live only reads: it writes nothing to storage, and may not have to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def test_it_starts_where_nothing_can_be_written(
    start_live: Callable[..., object], tmp_path: Path
) -> None:
    """Below a file no directory can be made, by nobody: root, too, would be stopped."""
    (tmp_path / "file").write_text("no directory")

    assert start_live(storage_dir=tmp_path / "file" / "storage")


def test_it_leaves_storage_as_it_is(start_live: Callable[..., object], tmp_path: Path) -> None:
    storage = tmp_path / "empty"
    storage.mkdir()
    start_live(storage_dir=storage)

    assert list(storage.iterdir()) == []
