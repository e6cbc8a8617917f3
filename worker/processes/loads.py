"""Models that could not be loaded, and why: the worker publishes them for its operator."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

_LONGEST = 500


@dataclass
class _Failure:
    """Why a model did not load; `revision` is what was on disk when it was first published."""

    why: str
    is_published: bool = False
    revision: str | None = None


class FailedLoads:
    """Why models could not be loaded, as long as that may still be true. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[str, _Failure] = {}

    def remember(self, model: str, why: str) -> None:
        """Note that a model did not load."""
        with self._lock:
            self._failures[model] = _Failure(why[:_LONGEST])

    def forget(self, model: str) -> None:
        """Note that a model did load."""
        with self._lock:
            self._failures.pop(model, None)

    def standing(self, on_disk: Mapping[str, str]) -> dict[str, str]:
        """
        The models that would fail again, and why.

        A failure is dropped once the files on disk are others, since those may load.

        Args:
            on_disk: The revision of each model whose files are here now.
        """
        with self._lock:
            for model, failure in list(self._failures.items()):
                now = on_disk.get(model)
                if not failure.is_published:
                    failure.is_published, failure.revision = True, now
                elif now != failure.revision:
                    del self._failures[model]
            return {model: failure.why for model, failure in self._failures.items()}
