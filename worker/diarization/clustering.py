"""
Clustering: windows with one voice become groups, and groups become voices.

First, windows that are surely of one voice are grouped (average linkage of cosine distances). Then
groups that are similar enough are merged. Groups that were two voices within one chunk must be
very similar, because the segmentation network is seldom wrong about that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.diarization.segmentation import N_SPEAKERS
from worker.diarization.timeline import FRAME_S, Timeline, shares

MOST_CLUSTERED = 3000
"""The most windows that are clustered; in a long recording every second, third … of them."""

_LEAST_APART = 4
"""Two groups with fewer pairs of windows within chunks never count as two voices there."""


@dataclass(frozen=True)
class Thresholds:
    """
    When two voices count as one. Chosen on the dialogues of `make eval`.

    Attributes:
        surely: The mean similarity of windows that are grouped first.
        alike: The similarity of groups that are one voice.
        alike_though_apart: The same for groups that were two voices within chunks.
        apart: Groups were two voices if more than this share of their pairs of windows were.
        different: How similar a group with hardly any speech may be to the others and still count
            as a voice. With more speech it may be more, up to `alike_though_apart`.
        enough_s: Seconds of speech from which a group always counts as a voice.
        mixed: The largest share of a window's speech that may be of other voices.
        clean: The share of a window in which one voice must speak alone.
        window_s: Seconds of a window.
    """

    surely: float = 0.5
    alike: float = 0.45
    alike_though_apart: float = 0.7
    apart: float = 0.6
    different: float = 0.2
    enough_s: float = 3.0
    mixed: float = 0.05
    clean: float = 0.75
    window_s: float = 1.5

    def far_apart(self, distance: float) -> Thresholds:
        """The thresholds for another distance between two voices, which is `1 - alike`."""
        alike = 1 - distance
        more = self.alike_though_apart - self.alike
        return replace(
            self, surely=max(self.surely, alike), alike=alike, alike_though_apart=alike + more
        )


HOP_S = 0.25
"""Seconds from one window to the next."""


@dataclass(frozen=True, eq=False)
class Windows:
    """
    Spans in which one voice speaks.

    Attributes:
        spans: (n, 2), the frames at which they start and end.
        local: (n_chunks, n), which voice of a chunk speaks in them; -1 if that is not clear.
        hop_s: How many seconds of speech each stands for.
    """

    spans: NDArray[np.int64]
    local: NDArray[np.int64]
    hop_s: float


def find_windows(timeline: Timeline, thresholds: Thresholds) -> Windows:
    """Choose the windows in which one voice speaks, according to all chunks."""
    length, hop = round(thresholds.window_s / FRAME_S), round(HOP_S / FRAME_S)
    clean = np.r_[0, (timeline.counts == 1).cumsum()]
    starts = np.arange(0, max(0, len(timeline.counts) - length), hop)
    starts = starts[(clean[starts + length] - clean[starts]) >= thresholds.clean * length]
    local = np.full((len(timeline.voices), len(starts)), -1, np.int64)
    one_voice, seen = np.zeros(len(starts)), np.zeros(len(starts))
    for i, (span, chunk) in enumerate(timeline.chunks()):
        inside = np.flatnonzero((starts >= span.start) & (starts + length <= span.stop))
        upto = shares(chunk)
        at = starts[inside] - span.start
        spoken = upto[at + length] - upto[at]  # (n_inside, 3) frames
        total = spoken.sum(axis=1)
        share = spoken.max(axis=1) / np.maximum(total, 1)
        one_voice[inside] += np.where(total > 0, share, 0)
        seen[inside] += total > 0
        local[i, inside] = np.where((total > 0) & (share >= 0.8), spoken.argmax(axis=1), -1)
    kept = np.flatnonzero(one_voice > (1 - thresholds.mixed) * np.maximum(seen, 1))
    thinned = -(-len(kept) // MOST_CLUSTERED) if len(kept) else 1
    kept = kept[::thinned]
    spans = np.stack([starts[kept], starts[kept] + length], axis=1)
    return Windows(spans, local[:, kept], HOP_S * thinned)


def find_voices(
    embeddings: NDArray[np.float32],
    windows: Windows,
    thresholds: Thresholds,
    count: tuple[int, int] = (1, 1000),
    report: Callable[[float], None] = lambda fraction: None,
) -> NDArray[np.float32]:
    """
    Cluster windows into voices.

    Args:
        embeddings: (n, 192), of the windows, each of length 1 or 0.
        count: The fewest and the most voices that there may be.
        report: Called now and then with the fraction done; what it raises ends the work.

    Returns:
        (n_voices, 192), the embedding of each voice; the one that speaks most comes first.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    spoken = np.flatnonzero(embeddings.any(axis=1))
    if len(spoken) < 2:
        return embeddings[spoken]
    embeddings, local = embeddings[spoken], windows.local[:, spoken]
    tree = linkage(embeddings.astype(np.float64), "average", metric="cosine")
    labels = fcluster(tree, 1 - thresholds.surely, "distance") - 1
    groups = _Groups(embeddings, local, labels)
    report(0.3)
    groups.merge_alike(thresholds, lambda: report(0.6))
    found, sizes = groups.voices()
    kept = _kept(found, sizes * windows.hop_s, thresholds)
    fewest, most = count
    if len(kept) < fewest:
        found, sizes = _at_least(fewest, tree, embeddings, local)
        kept = np.arange(min(fewest, len(found)))
    elif len(kept) > most:
        groups.merge_down(most, kept)
        found, sizes = groups.voices()
        kept = np.arange(min(most, len(found)))
    report(1.0)
    return found[kept]


def _kept(
    found: NDArray[np.float32], seconds: NDArray[np.floating[Any]], thresholds: Thresholds
) -> NDArray[np.int64]:
    """Which groups are voices: those with much speech, and those that are like no other."""
    kept = [0]  # the largest first
    amounts = np.minimum(1.0, seconds / thresholds.enough_s)
    steepness = thresholds.alike_though_apart - thresholds.different
    for i in range(1, len(found)):
        likeness = float((found[kept] @ found[i]).max())
        may_be = likeness < thresholds.different + steepness * amounts[i]
        if amounts[i] >= 1 or (may_be and seconds[i] > HOP_S):
            kept.append(i)
    return np.array(kept, np.int64)


def _at_least(
    fewest: int,
    tree: NDArray[np.float64],
    embeddings: NDArray[np.float32],
    local: NDArray[np.int64],
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The first cut of the tree with `fewest` groups: of three windows or more, else of fewer."""
    from scipy.cluster.hierarchy import fcluster

    for least in (3, 2, 1):
        for n in range(fewest, min(len(embeddings), 4 * fewest + 8) + 1):
            groups = _Groups(embeddings, local, fcluster(tree, n, "maxclust") - 1)
            found, sizes = groups.voices()
            if (sizes >= least).sum() >= fewest:
                return found, sizes
    return found, sizes


class _Groups:
    """Groups of windows: sums of embeddings, and how often two groups were one voice of a chunk."""

    def __init__(
        self, embeddings: NDArray[np.float32], local: NDArray[np.int64], labels: NDArray[Any]
    ) -> None:
        n_groups = int(labels.max()) + 1
        member = (labels[:, None] == np.arange(n_groups)).astype(np.float64)  # (n, n_groups)
        self.sizes = member.sum(axis=0).astype(np.int64)
        self.sums = member.T @ embeddings
        pairs = np.zeros((n_groups, n_groups))
        same = np.zeros((n_groups, n_groups))
        for row in local:
            seen = np.flatnonzero(row >= 0)
            if len(seen):
                of_voice = np.zeros((N_SPEAKERS, n_groups))
                np.add.at(of_voice, (row[seen], labels[seen]), 1)
                n = of_voice.sum(axis=0)
                pairs += np.outer(n, n)
                same += of_voice.T @ of_voice
        self.pairs, self.same = pairs, same

    def merge_alike(self, thresholds: Thresholds, report: Callable[[], None]) -> None:
        """Merge the two groups that are most alike, until none are alike enough."""
        while len(self.sums) > 1:
            report()
            alike = self._likeness()
            known = self.pairs >= _LEAST_APART
            apart = np.where(known, 1 - self.same / np.maximum(self.pairs, 1), 0)
            needed = np.where(
                apart > thresholds.apart, thresholds.alike_though_apart, thresholds.alike
            )
            candidates = np.where(alike >= needed, alike, -2.0)
            i, j = np.unravel_index(candidates.argmax(), candidates.shape)
            if candidates[i, j] == -2.0:
                return
            self._merge(int(i), int(j))

    def merge_down(self, most: int, kept: NDArray[np.int64]) -> None:
        """Keep some groups, and merge the most alike until there are `most`."""
        order = np.argsort(-self.sizes, kind="stable")[kept]
        self._take(order)
        while len(self.sums) > most:
            i, j = np.unravel_index(self._likeness().argmax(), (len(self.sums), len(self.sums)))
            self._merge(int(i), int(j))

    def voices(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The embedding of each group, (n, 192), and how many windows it has; the largest first."""
        order = np.argsort(-self.sizes, kind="stable")
        return self._directions()[order].astype(np.float32), self.sizes[order]

    def _directions(self) -> NDArray[np.float64]:
        norms = np.linalg.norm(self.sums, axis=1, keepdims=True)
        found: NDArray[np.float64] = self.sums / np.maximum(norms, 1e-12)
        return found

    def _likeness(self) -> NDArray[np.float64]:
        directions = self._directions()
        alike = directions @ directions.T
        np.fill_diagonal(alike, -2.0)
        return alike

    def _merge(self, i: int, j: int) -> None:
        for table in (self.sums, self.sizes, self.pairs, self.same):
            table[i] += table[j]
        for square in (self.pairs, self.same):
            square[:, i] += square[:, j]
        self._take(np.delete(np.arange(len(self.sums)), j))

    def _take(self, kept: NDArray[np.int64]) -> None:
        self.sums, self.sizes = self.sums[kept], self.sizes[kept]
        self.pairs = self.pairs[np.ix_(kept, kept)]
        self.same = self.same[np.ix_(kept, kept)]
