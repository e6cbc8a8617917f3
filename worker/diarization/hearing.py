"""
What voices sound like throughout a recording: each second passes through the trunk once.

Only the frames of some twenty seconds are held. What is kept of them are voiceprints: of short
spans all along (to tell whose voice is heard), of longer ones (to tell how many voices there are),
and of each voice of each chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource
from worker.diarization.features import HOP, WINDOW, filter_bank
from worker.diarization.segmentation import CHUNK_S, N_SPEAKERS
from worker.diarization.timeline import CHUNK_STEP, FRAME_S, Timeline, alone, seconds_at
from worker.diarization.voiceprints import DIMENSION, VoicePrints

STEP_FRAMES = 3
"""Frames between two places at which a voice is told: 0.05 s."""

_TRUNK_S = 0.02
_BLOCK, _MARGIN = 500, 50
"""Frames of the trunk computed at a time, 10 s, and those around them that it hears as well."""

_LOOK_S = (0.6, 1.0)
"""Seconds around a place by which its voice is told; the shorter sees where it changes."""

_LEAST_FRAMES = 5
_LEAST_TRACK = 17
"""Fewest frames of the trunk that say anything of a voice; of a voice of a chunk, 0.35 s."""


@dataclass(frozen=True, eq=False)
class Heard:
    """
    Voiceprints of a recording, each of length 1; zeros where there is too little to hear.

    Attributes:
        places: (n_places, 192) float16, every `STEP_FRAMES` frames.
        windows: (n_windows, 192) of the spans that were asked for.
        tracks: (n_chunks, 3, 192) of each voice in each chunk.
    """

    places: NDArray[np.float16]
    windows: NDArray[np.float32]
    tracks: NDArray[np.float32]


class _Trunk:
    """The trunk's frames of a recording, block after block."""

    def __init__(self, audio: AudioSource, prints: VoicePrints) -> None:
        self._audio = audio
        self._prints = prints
        self.n_frames = audio.n_samples // (2 * HOP) + 1
        self._first = 0
        self._held = np.empty((0, 512), np.float32)

    def read(self, start: int, end: int) -> NDArray[np.float32]:
        """(end - start, 512) frames; those before `start` are forgotten."""
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
        frames = self._prints.frames((features - features.mean(axis=0))[None])[0].T
        found: NDArray[np.float32] = frames[start - low : min(start + _BLOCK, self.n_frames) - low]
        return found

    def _features(self, low: int, high: int) -> NDArray[np.float32]:
        """Frames of 10 ms about their middles; what lies outside the recording is silence."""
        first, last = low * HOP - WINDOW // 2, (high - 1) * HOP + WINDOW // 2
        samples = self._audio.read(max(0, first), last)
        before = max(0, -first)
        return filter_bank(np.pad(samples, (before, last - first - before - len(samples))))


class _Sums:
    """Voiceprints of spans out of running sums, of the frames that a mask lets through."""

    def __init__(
        self, frames: NDArray[np.float32], mask: NDArray[np.bool_], prints: VoicePrints
    ) -> None:
        self._prints = prints
        kept = frames * mask[:, None].astype(np.float64)
        self._n = np.r_[0, mask.cumsum()]
        self._sums = np.vstack([np.zeros((1, kept.shape[1])), kept.cumsum(axis=0)])
        self._squares = np.vstack([np.zeros((1, kept.shape[1])), (kept**2).cumsum(axis=0)])

    def prints(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, 192) of spans, which are cut at both ends of what there is."""
        last = len(self._n) - 1
        a, b = np.clip(starts, 0, last), np.clip(ends, 0, last)
        n = self._n[b] - self._n[a]
        sums, squares = self._sums[b] - self._sums[a], self._squares[b] - self._squares[a]
        return _prints_of(n, sums, squares, _LEAST_FRAMES, self._prints)


def _prints_of(
    n: NDArray[np.int64],
    sums: NDArray[np.float64],
    squares: NDArray[np.float64],
    least: int,
    prints: VoicePrints,
) -> NDArray[np.float32]:
    mean = sums / np.maximum(n, 1)[:, None]
    deviation = np.sqrt(np.maximum(squares / np.maximum(n, 1)[:, None] - mean**2, 1e-10))
    found = prints.print(mean, deviation)
    found /= np.linalg.norm(found, axis=1, keepdims=True) + 1e-12
    found[n < least] = 0
    return found


def hear(
    audio: AudioSource,
    timeline: Timeline,
    windows: Sequence[tuple[int, int]],
    prints: VoicePrints,
    report: Callable[[float], None],
) -> Heard:
    """
    Take voiceprints.

    Args:
        windows: Frames where they start and end, in the order of their starts.
        report: Called with the fraction done; what it raises ends the work.
    """
    trunk = _Trunk(audio, prints)
    per_chunk = round(CHUNK_S / _TRUNK_S)
    per_step = round(CHUNK_STEP / SAMPLE_RATE_HZ / _TRUNK_S)
    spans = np.array(windows, np.int64).reshape(-1, 2)
    middles = np.arange(0, len(timeline.counts), STEP_FRAMES) + STEP_FRAMES / 2
    at_place = _trunk_frames(middles)
    span_starts, span_ends = _trunk_frames(spans[:, 0]), _trunk_frames(spans[:, 1])
    places = np.zeros((len(middles), DIMENSION), np.float16)
    of_windows = np.zeros((len(spans), DIMENSION), np.float32)
    tracks = np.zeros((len(timeline.voices), N_SPEAKERS, DIMENSION), np.float32)
    clean = (timeline.counts == 1)[_frames_of(np.arange(trunk.n_frames), len(timeline.counts))]
    # The last chunk may be padded beyond the recording: what is there has no frames.
    for start in range(0, max(trunk.n_frames, int(at_place[-1]) + 1), _BLOCK):
        low, high = max(0, start - 2 * _MARGIN), start + _BLOCK + per_chunk + 2 * _MARGIN
        frames = trunk.read(low, high)
        sums = _Sums(frames, clean[low : low + len(frames)], prints)
        here = (at_place >= start) & (at_place < start + _BLOCK)
        places[here] = _look(sums, at_place[here] - low)
        here = (span_starts >= start) & (span_starts < start + _BLOCK)
        of_windows[here] = sums.prints(span_starts[here] - low, span_ends[here] - low)
        for i in range(-(-start // per_step), min(len(tracks), -(-(start + _BLOCK) // per_step))):
            first = i * per_step - low
            tracks[i] = _tracks(frames[first : first + per_chunk], timeline.voices[i], prints)
        report(min(1.0, (start + _BLOCK) / max(1, trunk.n_frames)))
    return Heard(places, of_windows, tracks)


def _look(sums: _Sums, at: NDArray[np.int64]) -> NDArray[np.float32]:
    """The mean of what spans of several lengths around a place say."""
    if not len(at):
        return np.empty((0, DIMENSION), np.float32)
    halves = [round(seconds / _TRUNK_S / 2) for seconds in _LOOK_S]
    looks = [sums.prints(at - half, at + half + 1) for half in halves]
    found: NDArray[np.float32] = np.mean(looks, axis=0)
    return found


def _tracks(
    frames: NDArray[np.float32], voices: NDArray[np.bool_], prints: VoicePrints
) -> NDArray[np.float32]:
    """(3, 192): each voice of a chunk where it speaks alone, or where it speaks at all."""
    speaker = alone(voices)[:, None] == np.arange(N_SPEAKERS)
    index = _frames_of(np.arange(len(frames)), len(voices))
    masks = np.where(
        speaker[index].sum(axis=0) >= _LEAST_TRACK, speaker[index], voices[index]
    ).T.astype(np.float64)
    n = masks.sum(axis=1).astype(np.int64)
    return _prints_of(
        n, masks @ frames, masks @ frames.astype(np.float64) ** 2, _LEAST_TRACK, prints
    )


def _trunk_frames(frames: NDArray[Any]) -> NDArray[np.int64]:
    """The frames of the trunk where frames of the timeline begin."""
    found: NDArray[np.int64] = np.maximum(
        0, np.rint(seconds_at(frames) / _TRUNK_S).astype(np.int64)
    )
    return found


def _frames_of(trunk_frames: NDArray[np.int64], n_frames: int) -> NDArray[np.int64]:
    """The frame of the timeline, of so many, in which each frame of the trunk lies."""
    first_s = seconds_at(0)
    found = ((trunk_frames * _TRUNK_S + _TRUNK_S / 2 - first_s) / FRAME_S).astype(np.int64)
    clipped: NDArray[np.int64] = np.clip(found, 0, n_frames - 1)
    return clipped
