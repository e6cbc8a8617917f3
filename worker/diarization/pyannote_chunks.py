"""Chunks of audio that a diarization looks at, and the frames of the whole they are laid out in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource

if TYPE_CHECKING:
    from pyannote.core import Segment, SlidingWindow, SlidingWindowFeature


def read_chunk(audio: AudioSource, chunk: Segment) -> NDArray[np.float32]:
    """Read `(1, n_samples) float32`; what lies past the end is silence."""
    start, end = round(chunk.start * SAMPLE_RATE_HZ), round(chunk.end * SAMPLE_RATE_HZ)
    samples = audio.read(start, end)
    return np.pad(samples, (0, end - start - len(samples)))[None]


def fewest_frames(segmentations: SlidingWindowFeature, n_samples: int) -> int:
    """How many frames of a chunk last as long as so many samples."""
    n_frames: int = segmentations.data.shape[1]
    chunk: float = segmentations.sliding_window.duration * SAMPLE_RATE_HZ
    return math.ceil(n_frames * n_samples / chunk)


def masks_of(segmentation: NDArray[Any], exclude_overlap: bool, least: int) -> NDArray[np.float32]:
    """(n_speakers, n_frames): when each speaks, alone if that is long enough."""
    masks: NDArray[np.float32] = np.nan_to_num(segmentation).astype(np.float32)
    if not exclude_overlap:
        return masks.T
    alone: NDArray[np.float32] = masks * (masks.sum(axis=1, keepdims=True) < 2)
    kept: NDArray[np.float32] = np.where(alone.sum(axis=0) > least, alone, masks)
    return kept.T


def most_alone(active: NDArray[np.bool_], filled: float) -> NDArray[np.float32]:
    """
    When the one who speaks most speaks alone.

    Args:
        active: (n_frames, n_speakers) of one chunk.
        filled: Fraction of the chunk that is audio; the rest is cut off.

    Returns:
        (n_frames filled,) 0 or 1.
    """
    alone = (active & (active.sum(axis=1, keepdims=True) == 1))[: round(len(active) * filled)]
    kept: NDArray[np.float32] = alone[:, alone.sum(axis=0).argmax()].astype(np.float32)
    return kept


def from_zero(segmentations: SlidingWindowFeature, frames: SlidingWindow) -> SlidingWindow:
    """Frames as pyannote.audio lays them out: the first begins where the first chunk does."""
    start = segmentations.sliding_window.start
    return type(frames)(start=start, duration=frames.duration, step=frames.step)


def laid_out(segmentations: SlidingWindowFeature, frames: SlidingWindow) -> tuple[range, list[int]]:
    """All frames there are, and the first of each chunk."""
    chunks, laid = segmentations.sliding_window, from_zero(segmentations, frames)
    half = 0.5 * frames.duration
    n_chunks = len(segmentations.data)
    last = chunks.start + chunks.duration + (n_chunks - 1) * chunks.step + half
    starts = [int(laid.closest_frame(chunks[i].start + half)) for i in range(n_chunks)]
    return range(int(laid.closest_frame(last)) + 1), starts


def batches(items: Sequence[int] | NDArray[Any], size: int) -> Iterator[Any]:
    """So many items at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
