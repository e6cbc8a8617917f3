"""
pyannote.audio's clustering with bounded memory.

Imported only when a pipeline is opened: pyannote.audio takes seconds to import.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyannote.audio.pipelines.clustering import (
    AgglomerativeClustering,
    BaseClustering,
    VBxClustering,
)
from pyannote.core import SlidingWindowFeature

MOST_CLUSTERED = 8000
"""The most embeddings that are clustered: the memory for distances grows with the square of their
number. Of longer audio, evenly spaced ones are clustered. The others go to the nearest cluster."""

Hook = Callable[..., None]


def no_hook(step: str, *_: object, **__: object) -> None:
    """A hook that does nothing."""


class Thinned(BaseClustering):
    """Clustering with bounded memory that reports how far it is."""

    hook: Hook = staticmethod(no_hook)
    """Called before each of the three steps of clustering; may raise to stop."""

    def filter_embeddings(
        self,
        embeddings: NDArray[Any],
        segmentations: SlidingWindowFeature | None = None,
        min_active_ratio: float = 0.2,
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Leave out what is too short, and keep some of the rest, evenly spaced."""
        self.hook("clustering", None, total=3, completed=0)
        kept, chunks, speakers = super().filter_embeddings(
            embeddings, segmentations, min_active_ratio
        )
        self.hook("clustering", None, total=3, completed=1)
        if len(kept) <= MOST_CLUSTERED:
            return kept, chunks, speakers
        chosen = np.linspace(0, len(kept) - 1, MOST_CLUSTERED).round().astype(int)
        return kept[chosen], chunks[chosen], speakers[chosen]

    def assign_embeddings(self, *args: Any, **kwargs: Any) -> Any:
        """Assign every voice to its nearest cluster."""
        self.hook("clustering", None, total=3, completed=2)
        return super().assign_embeddings(*args, **kwargs)


class ThinnedAgglomerative(Thinned, AgglomerativeClustering):
    """Agglomerative clustering with bounded memory."""


class ThinnedVBx(Thinned, VBxClustering):
    """VBx clustering with bounded memory."""

    def __call__(
        self,
        embeddings: NDArray[Any],
        segmentations: SlidingWindowFeature | None = None,
        num_clusters: int | None = None,
        min_clusters: int | None = None,
        max_clusters: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Cluster; never asks k-means for more speakers than there are embeddings."""
        n = max(1, len(self.filter_embeddings(embeddings, segmentations)[0]))
        wanted = (num_clusters, min_clusters, max_clusters)
        num, low, high = (None if value is None else min(value, n) for value in wanted)
        return super().__call__(embeddings, segmentations, num, low, high, **kwargs)
