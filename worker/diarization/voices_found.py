"""How many voices there are in a recording: those of the try that tells most of them apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from worker.diarization.clustering import Thresholds, Windows, find_voices
from worker.diarization.timeline import FRAME_S, Timeline

_LEAST_ALONE_S = 0.5


def most_voices(
    prints: Sequence[NDArray[np.float32]],
    windows: Sequence[Windows],
    tries: Sequence[Thresholds],
    count: tuple[int, int, int],
    report: Callable[[float], None],
) -> NDArray[np.float32]:
    """
    (n_voices, 192): the voices of the first try that finds enough, or of the one that finds most.

    Args:
        prints: Of each try, (n_windows, 192).
        count: How many are enough, and the fewest and the most that there may be.
        report: Called with the fraction done.
    """
    best = np.empty((0, prints[0].shape[1]), np.float32)
    for i, (each, part, found) in enumerate(zip(tries, prints, windows, strict=True)):

        def tell(fraction: float, n: int = i) -> None:
            report((n + fraction) / len(tries))

        told = find_voices(part, found, each, count[1:], tell)
        if len(told) > len(best):
            best = told
        if len(best) >= count[0]:
            break
    return best


def heard_at_once(timeline: Timeline) -> NDArray[np.bool_]:
    """(n_chunks, 3): the voices that each chunk hears, for half a second alone."""
    alone = timeline.voices & (timeline.voices.sum(axis=-1, keepdims=True) == 1)
    heard: NDArray[np.bool_] = alone.sum(axis=1) >= round(_LEAST_ALONE_S / FRAME_S)
    return heard


def apart(
    tracks: NDArray[np.float32], heard: NDArray[np.bool_], alike: float
) -> NDArray[np.float32]:
    """The voices of the chunk that hears most of them, less those that sound the same."""
    chunk = int(heard.sum(axis=-1).argmax())
    kept: list[NDArray[np.float32]] = []
    for print_ in tracks[chunk][heard[chunk]]:
        if print_.any() and all(float(print_ @ other) < alike for other in kept):
            kept.append(print_)
    return np.array(kept, np.float32).reshape(-1, tracks.shape[-1])
