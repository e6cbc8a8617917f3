"""The frames of a whole recording, and who speaks in them according to each chunk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.audio.constants import SAMPLE_RATE_HZ
from worker.diarization.segmentation import CHUNK, N_SPEAKERS, STEP, WIDTH

FRAME_S = STEP / SAMPLE_RATE_HZ
"""Seconds from one frame to the next."""

FIRST_S = (WIDTH - STEP) / 2 / SAMPLE_RATE_HZ
"""When the first frame begins."""

CHUNK_STEP = SAMPLE_RATE_HZ
"""Samples from one chunk to the next: every second lies in ten chunks."""

_CHANGE_FRAMES = 6
"""Frames beside a change of voice that count as a change, too: 0.1 s."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """
    Who speaks when. The number of a voice holds within one chunk only.

    Attributes:
        voices: (n_chunks, n_frames, 3), whether each voice speaks.
        counts: (n,), how many speak at once in each frame, on average over its chunks.
    """

    voices: NDArray[np.bool_]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, voices: NDArray[np.bool_], n_samples: int) -> Timeline:
        """Lay chunks out over the recording, and count who speaks."""
        starts = [_first_frame(i) for i in range(len(voices))]
        n_frames = starts[-1] + voices.shape[1]
        speaking, seen = np.zeros(n_frames), np.zeros(n_frames)
        for start, chunk in zip(starts, voices, strict=True):
            speaking[start : start + len(chunk)] += chunk.sum(axis=1)
            seen[start : start + len(chunk)] += 1
        counts = np.rint(speaking / seen).astype(np.int64)
        # Nobody speaks in the padding of the last chunk.
        counts[frame_at(n_samples / SAMPLE_RATE_HZ) :] = 0
        return cls(voices, counts)

    def chunks(self) -> Iterator[tuple[slice, NDArray[np.bool_]]]:
        """Yield the frames of each chunk, and the voices in it."""
        n_frames = self.voices.shape[1]
        for i, chunk in enumerate(self.voices):
            start = _first_frame(i)
            yield slice(start, start + n_frames), chunk

    def changes(self) -> NDArray[np.float64]:
        """The share of chunks in which another voice begins near each frame, (n,)."""
        changed, seen = np.zeros(len(self.counts)), np.zeros(len(self.counts))
        for span, chunk in self.chunks():
            seen[span] += 1
            speaker = alone(chunk)
            spoken = np.flatnonzero(speaker >= 0)
            for frame in spoken[1:][np.diff(speaker[spoken]) != 0] + span.start:
                changed[max(span.start, frame - _CHANGE_FRAMES) : frame + _CHANGE_FRAMES] += 1
        return np.minimum(1.0, changed / np.maximum(seen, 1))


def alone(voices: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The voice that speaks alone in each frame, (n_frames,); -1 where none or several do."""
    return np.where(voices.sum(axis=-1) == 1, voices.argmax(axis=-1), -1)


def n_chunks(n_samples: int) -> int:
    """The number of chunks of a recording; the last one reaches its end."""
    return max(0, -(-(n_samples - CHUNK) // CHUNK_STEP)) + 1


def frame_at(seconds: float) -> int:
    """The frame in which a time lies."""
    return max(0, int((seconds - FIRST_S) / FRAME_S))


def seconds_at(frame: Any) -> Any:
    """
    When a frame, or each of several frames, begins.

    >>> round(seconds_at(100), 3)
    1.71
    """
    return frame * FRAME_S + FIRST_S


def runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """
    The starts and ends of the runs in which a mask is true.

    >>> runs(np.array([True, False, True, True]))
    [(0, 1), (2, 4)]
    """
    edges = np.flatnonzero(np.diff(np.r_[0, mask.astype(np.int8), 0]))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def shares(voices: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many frames each voice has spoken alone before each frame, (n_frames + 1, 3)."""
    speaker = alone(voices)
    one_hot = speaker[:, None] == np.arange(N_SPEAKERS)
    return np.vstack([np.zeros((1, N_SPEAKERS), np.int64), one_hot.cumsum(axis=0)])


def spans_of(who: NDArray[np.bool_], end_s: float) -> list[tuple[int, float, float]]:
    """Turns, as speaker, start and end in seconds, from (n, n_speakers): who speaks."""
    found = []
    for speaker, mask in enumerate(who.T):
        for a, b in runs(mask):
            start, end = max(0.0, seconds_at(a)), min(end_s, seconds_at(b))
            if end > start:
                found.append((speaker, start, end))
    return sorted(found, key=lambda turn: turn[1:])


def _first_frame(chunk: int) -> int:
    return round(chunk * CHUNK_STEP / STEP)
