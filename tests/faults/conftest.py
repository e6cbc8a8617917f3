"""What these tests share; see `sites`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sites import clips, models, open_site

sys.path.insert(0, str(Path(__file__).parent))

from live_callers import LiveWorkers  # noqa: E402

__all__ = ["clips", "models", "open_site", "open_workers"]


@pytest.fixture
def open_workers(real_models: Path, tmp_path: Path) -> Iterator[Callable[[str], LiveWorkers]]:
    """A function that takes the URL of a Redis and gives workers for it, killed at the end."""
    opened: list[LiveWorkers] = []

    def start(url: str) -> LiveWorkers:
        (tmp_path / "storage").mkdir(exist_ok=True)
        opened.append(LiveWorkers(url, real_models, tmp_path))
        return opened[-1]

    yield start
    for workers in opened:
        workers.close()
