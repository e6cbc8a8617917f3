"""How many voices there are in a recording."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from worker.diarization.clustering import Thresholds, Windows, find_voices
from worker.diarization.timeline import FRAME_S, Timeline

_LEAST_ALONE_S = 0.5


def find_most_voices(
    embeddings: Sequence[NDArray[np.float32]],
    windows: Sequence[Windows],
    tries: Sequence[Thresholds],
    count: tuple[int, int, int],
    report: Callable[[float], None],
) -> NDArray[np.float32]:
    """
    The voices of the first try that finds enough of them, or else of the one that finds most.

    Args:
        embeddings: (n_windows, 192) for each try.
        count: How many voices are enough, and the fewest and the most that there may be.
        report: Called with the fraction done.
    """
    best = np.empty((0, embeddings[0].shape[1]), np.float32)
    for i, (each, part, found) in enumerate(zip(tries, embeddings, windows, strict=True)):

        def report_part(fraction: float, n: int = i) -> None:
            report((n + fraction) / len(tries))

        voices = find_voices(part, found, each, count[1:], report_part)
        if len(voices) > len(best):
            best = voices
        if len(best) >= count[0]:
            break
    return best


def voices_per_chunk(timeline: Timeline) -> NDArray[np.bool_]:
    """Which voices speak alone for half a second in each chunk, (n_chunks, 3)."""
    alone = timeline.voices & (timeline.voices.sum(axis=-1, keepdims=True) == 1)
    speaks: NDArray[np.bool_] = alone.sum(axis=1) >= round(_LEAST_ALONE_S / FRAME_S)
    return speaks


def distinct_voices(
    chunk_voices: NDArray[np.float32], speaks: NDArray[np.bool_], alike: float
) -> NDArray[np.float32]:
    """The voices, (n_voices, 192), of the chunk with most of them, without those that are alike."""
    chunk = int(speaks.sum(axis=-1).argmax())
    kept: list[NDArray[np.float32]] = []
    for embedding in chunk_voices[chunk][speaks[chunk]]:
        if embedding.any() and all(float(embedding @ other) < alike for other in kept):
            kept.append(embedding)
    return np.array(kept, np.float32).reshape(-1, chunk_voices.shape[-1])
