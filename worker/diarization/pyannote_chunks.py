"""Chunks of audio for pyannote.audio, and the frames of the recording they belong to."""

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
    """Read (1, n_samples) float32, with silence after the end of the audio."""
    start, end = round(chunk.start * SAMPLE_RATE_HZ), round(chunk.end * SAMPLE_RATE_HZ)
    samples = audio.read(start, end)
    return np.pad(samples, (0, end - start - len(samples)))[None]


def fewest_frames(segmentations: SlidingWindowFeature, n_samples: int) -> int:
    """How many frames of a chunk last as long as `n_samples`."""
    n_frames: int = segmentations.data.shape[1]
    chunk: float = segmentations.sliding_window.duration * SAMPLE_RATE_HZ
    return math.ceil(n_frames * n_samples / chunk)


def masks_of(segmentation: NDArray[Any], exclude_overlap: bool, least: int) -> NDArray[np.float32]:
    """When each speaker talks, (n_speakers, n_frames): alone, if that is long enough."""
    masks: NDArray[np.float32] = np.nan_to_num(segmentation).astype(np.float32)
    if not exclude_overlap:
        return masks.T
    alone: NDArray[np.float32] = masks * (masks.sum(axis=1, keepdims=True) < 2)
    kept: NDArray[np.float32] = np.where(alone.sum(axis=0) > least, alone, masks)
    return kept.T


def most_alone(active: NDArray[np.bool_], filled: float) -> NDArray[np.float32]:
    """
    When the speaker who talks most talks alone.

    Args:
        active: (n_frames, n_speakers), of one chunk.
        filled: The fraction of the chunk that is audio. The rest is cut off.

    Returns:
        (n_frames of audio,), 0 or 1.
    """
    alone = (active & (active.sum(axis=1, keepdims=True) == 1))[: round(len(active) * filled)]
    kept: NDArray[np.float32] = alone[:, alone.sum(axis=0).argmax()].astype(np.float32)
    return kept


def from_zero(segmentations: SlidingWindowFeature, frames: SlidingWindow) -> SlidingWindow:
    """Frames as in pyannote.audio: the first begins where the first chunk does."""
    start = segmentations.sliding_window.start
    return type(frames)(start=start, duration=frames.duration, step=frames.step)


def laid_out(segmentations: SlidingWindowFeature, frames: SlidingWindow) -> tuple[range, list[int]]:
    """All frames of the recording, and the first frame of each chunk."""
    chunks, laid = segmentations.sliding_window, from_zero(segmentations, frames)
    half = 0.5 * frames.duration
    n_chunks = len(segmentations.data)
    last = chunks.start + chunks.duration + (n_chunks - 1) * chunks.step + half
    starts = [int(laid.closest_frame(chunks[i].start + half)) for i in range(n_chunks)]
    return range(int(laid.closest_frame(last)) + 1), starts


def batches(items: Sequence[int] | NDArray[Any], size: int) -> Iterator[Any]:
    """Yield `size` items at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
