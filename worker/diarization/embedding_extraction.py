"""
Embeddings of voices throughout a recording.

Each second of audio passes through the network's trunk once, and only about twenty seconds of
frames are in memory. From them, three kinds of embeddings are made: of short spans throughout the
recording (whose voice is it?), of longer windows (how many voices are there?), and of each voice
in each chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource
from worker.diarization.embedding import DIMENSION, EmbeddingNetwork
from worker.diarization.features import HOP, WINDOW, filter_bank
from worker.diarization.segmentation import CHUNK_S, N_SPEAKERS
from worker.diarization.timeline import CHUNK_STEP, FRAME_S, Timeline, alone, seconds_at

STEP_FRAMES = 3
"""Frames between two places that get an embedding: 0.05 s."""

_TRUNK_S = 0.02
_BLOCK, _MARGIN = 500, 50
"""Frames of the trunk that are computed at a time, 10 s, and the frames around them that they
depend on."""

_AROUND_S = (0.6, 1.0)
"""Seconds around a place that its embedding covers. The shorter span sees where voices change."""

_LEAST_FRAMES = 5
_LEAST_CHUNK_FRAMES = 17
"""The fewest frames of the trunk that an embedding needs; for a voice of a chunk, 0.35 s."""


@dataclass(frozen=True, eq=False)
class Embeddings:
    """
    Embeddings of a recording, each of length 1; zeros where there is too little speech.

    Attributes:
        places: (n_places, 192) float16, one every `STEP_FRAMES` frames.
        windows: (n_windows, 192), of the spans that were asked for.
        chunk_voices: (n_chunks, 3, 192), of each voice in each chunk.
    """

    places: NDArray[np.float16]
    windows: NDArray[np.float32]
    chunk_voices: NDArray[np.float32]


class _Trunk:
    """The frames of the trunk, computed block by block."""

    def __init__(self, audio: AudioSource, network: EmbeddingNetwork) -> None:
        self._audio = audio
        self._network = network
        self.n_frames = audio.n_samples // (2 * HOP) + 1
        self._first = 0
        self._held = np.empty((0, 512), np.float32)

    def read(self, start: int, end: int) -> NDArray[np.float32]:
        """Return (end - start, 512) frames, and drop those before `start`."""
        end = min(end, self.n_frames)
        self._held, self._first = self._held[max(0, start - self._first) :], start
        while self._first + len(self._held) < end:
            block = self._compute(self._first + len(self._held))
            self._held = np.concatenate([self._held, block])
        return self._held[: end - start]

    def _compute(self, start: int) -> NDArray[np.float32]:
        low = max(0, start - _MARGIN)
        high = min(self.n_frames, start + _BLOCK + _MARGIN)
        features = self._features(2 * low, 2 * high)
        frames = self._network.frames((features - features.mean(axis=0))[None])[0].T
        found: NDArray[np.float32] = frames[start - low : min(start + _BLOCK, self.n_frames) - low]
        return found

    def _features(self, low: int, high: int) -> NDArray[np.float32]:
        """Filter bank of frames of 10 ms around their middles. Outside the recording is silence."""
        first, last = low * HOP - WINDOW // 2, (high - 1) * HOP + WINDOW // 2
        samples = self._audio.read(max(0, first), last)
        before = max(0, -first)
        return filter_bank(np.pad(samples, (before, last - first - before - len(samples))))


class _Sums:
    """Running sums over the frames of a mask, from which embeddings of spans are made."""

    def __init__(
        self, frames: NDArray[np.float32], mask: NDArray[np.bool_], network: EmbeddingNetwork
    ) -> None:
        self._network = network
        kept = frames * mask[:, None].astype(np.float64)
        self._n = np.r_[0, mask.cumsum()]
        self._sums = np.vstack([np.zeros((1, kept.shape[1])), kept.cumsum(axis=0)])
        self._squares = np.vstack([np.zeros((1, kept.shape[1])), (kept**2).cumsum(axis=0)])

    def embeddings(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return (n, 192), the embeddings of spans. Spans are cut at the ends of the frames."""
        last = len(self._n) - 1
        a, b = np.clip(starts, 0, last), np.clip(ends, 0, last)
        n = self._n[b] - self._n[a]
        sums, squares = self._sums[b] - self._sums[a], self._squares[b] - self._squares[a]
        return _embeddings_of(n, sums, squares, _LEAST_FRAMES, self._network)


def _embeddings_of(
    n: NDArray[np.int64],
    sums: NDArray[np.float64],
    squares: NDArray[np.float64],
    least: int,
    network: EmbeddingNetwork,
) -> NDArray[np.float32]:
    mean = sums / np.maximum(n, 1)[:, None]
    deviation = np.sqrt(np.maximum(squares / np.maximum(n, 1)[:, None] - mean**2, 1e-10))
    found = network.embed(mean, deviation)
    found /= np.linalg.norm(found, axis=1, keepdims=True) + 1e-12
    found[n < least] = 0
    return found


def extract_embeddings(
    audio: AudioSource,
    timeline: Timeline,
    windows: Sequence[tuple[int, int]],
    network: EmbeddingNetwork,
    report: Callable[[float], None],
) -> Embeddings:
    """
    Extract the embeddings of a recording.

    Args:
        windows: The frames at which windows start and end, in the order of their starts.
        report: Called with the fraction done; what it raises ends the work.
    """
    trunk = _Trunk(audio, network)
    per_chunk = round(CHUNK_S / _TRUNK_S)
    per_step = round(CHUNK_STEP / SAMPLE_RATE_HZ / _TRUNK_S)
    spans = np.array(windows, np.int64).reshape(-1, 2)
    middles = np.arange(0, len(timeline.counts), STEP_FRAMES) + STEP_FRAMES / 2
    at_place = _trunk_frames(middles)
    span_starts, span_ends = _trunk_frames(spans[:, 0]), _trunk_frames(spans[:, 1])
    places = np.zeros((len(middles), DIMENSION), np.float16)
    of_windows = np.zeros((len(spans), DIMENSION), np.float32)
    chunk_voices = np.zeros((len(timeline.voices), N_SPEAKERS, DIMENSION), np.float32)
    clean = (timeline.counts == 1)[_frames_of(np.arange(trunk.n_frames), len(timeline.counts))]
    # The last chunk may be padded beyond the recording, where there are no frames.
    for start in range(0, max(trunk.n_frames, int(at_place[-1]) + 1), _BLOCK):
        low, high = max(0, start - 2 * _MARGIN), start + _BLOCK + per_chunk + 2 * _MARGIN
        frames = trunk.read(low, high)
        sums = _Sums(frames, clean[low : low + len(frames)], network)
        here = (at_place >= start) & (at_place < start + _BLOCK)
        places[here] = _around(sums, at_place[here] - low)
        here = (span_starts >= start) & (span_starts < start + _BLOCK)
        of_windows[here] = sums.embeddings(span_starts[here] - low, span_ends[here] - low)
        for i in range(start // per_step, min(len(chunk_voices), (start + _BLOCK) // per_step)):
            of_chunk = frames[i * per_step - low :][:per_chunk]
            chunk_voices[i] = _chunk_voices(of_chunk, timeline.voices[i], network)
        report(min(1.0, (start + _BLOCK) / max(1, trunk.n_frames)))
    return Embeddings(places, of_windows, chunk_voices)


def _around(sums: _Sums, at: NDArray[np.int64]) -> NDArray[np.float32]:
    """The mean embedding of spans of several lengths around each place, (n_places, 192)."""
    if not len(at):
        return np.empty((0, DIMENSION), np.float32)
    halves = [round(seconds / _TRUNK_S / 2) for seconds in _AROUND_S]
    spans = [sums.embeddings(at - half, at + half + 1) for half in halves]
    found: NDArray[np.float32] = np.mean(spans, axis=0)
    return found


def _chunk_voices(
    frames: NDArray[np.float32], voices: NDArray[np.bool_], network: EmbeddingNetwork
) -> NDArray[np.float32]:
    """The embeddings of the voices of a chunk, (3, 192): where each is alone, if that is enough."""
    speaker = alone(voices)[:, None] == np.arange(N_SPEAKERS)
    index = _frames_of(np.arange(len(frames)), len(voices))
    masks = np.where(
        speaker[index].sum(axis=0) >= _LEAST_CHUNK_FRAMES, speaker[index], voices[index]
    ).T.astype(np.float64)
    n = masks.sum(axis=1).astype(np.int64)
    return _embeddings_of(
        n, masks @ frames, masks @ frames.astype(np.float64) ** 2, _LEAST_CHUNK_FRAMES, network
    )


def _trunk_frames(frames: NDArray[Any]) -> NDArray[np.int64]:
    """The frames of the trunk at which frames of the timeline begin."""
    found: NDArray[np.int64] = np.maximum(
        0, np.rint(seconds_at(frames) / _TRUNK_S).astype(np.int64)
    )
    return found


def _frames_of(trunk_frames: NDArray[np.int64], n_frames: int) -> NDArray[np.int64]:
    """The frame of the timeline, of `n_frames`, in which each frame of the trunk lies."""
    first_s = seconds_at(0)
    found = ((trunk_frames * _TRUNK_S + _TRUNK_S / 2 - first_s) / FRAME_S).astype(np.int64)
    clipped: NDArray[np.int64] = np.clip(found, 0, n_frames - 1)
    return clipped
