"""Models that could not be loaded: remembered, so that the site knows before its callers do."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

_LONGEST = 500


@dataclass
class _Failure:
    """Why a model did not load; `revision` is what was on disk when that was first told."""

    why: str
    is_told: bool = False
    revision: str | None = None


class FailedLoads:
    """Why models could not be loaded, for as long as that may be so. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[str, _Failure] = {}

    def remember(self, model: str, why: str) -> None:
        """A model did not load."""
        with self._lock:
            self._failures[model] = _Failure(why[:_LONGEST])

    def forget(self, model: str) -> None:
        """A model did load."""
        with self._lock:
            self._failures.pop(model, None)

    def standing(self, on_disk: Mapping[str, str]) -> dict[str, str]:
        """
        Those that would fail again, and why; other files than there were may well load.

        Args:
            on_disk: Models whose files are here now, and what names their very weights.
        """
        with self._lock:
            for model, failure in list(self._failures.items()):
                now = on_disk.get(model)
                if not failure.is_told:
                    failure.is_told, failure.revision = True, now
                elif now != failure.revision:
                    del self._failures[model]
            return {model: failure.why for model, failure in self._failures.items()}
