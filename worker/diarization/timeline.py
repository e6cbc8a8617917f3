"""Frames of a whole recording, and what the chunks that see each of them say of it."""

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
"""Samples from one chunk to the next: every second is heard ten times."""

_CHANGE_FRAMES = 6
"""Frames beside a change at which speakers may well change too: 0.1 s."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """
    Who speaks when, by voices that have a number in one chunk only.

    Attributes:
        voices: (n_chunks, n_frames, 3) whether each speaks.
        counts: (n,) how many speak at once, by most of the chunks that see a frame.
        n_samples: Of the recording, which the last chunk may outlast.
    """

    voices: NDArray[np.bool_]
    counts: NDArray[np.int64]
    n_samples: int

    @classmethod
    def of(cls, voices: NDArray[np.bool_], n_samples: int) -> Timeline:
        """Count who speaks."""
        starts = [_first_frame(i) for i in range(len(voices))]
        n_frames = starts[-1] + voices.shape[1]
        speaking, seen = np.zeros(n_frames), np.zeros(n_frames)
        for start, chunk in zip(starts, voices, strict=True):
            speaking[start : start + len(chunk)] += chunk.sum(axis=1)
            seen[start : start + len(chunk)] += 1
        counts = np.rint(speaking / seen).astype(np.int64)
        # What the last chunk is padded with is nobody's.
        counts[frame_at(n_samples / SAMPLE_RATE_HZ) :] = 0
        return cls(voices, counts, n_samples)

    def chunks(self) -> Iterator[tuple[slice, NDArray[np.bool_]]]:
        """The frames of each chunk, and the voices in it."""
        n_frames = self.voices.shape[1]
        for i, chunk in enumerate(self.voices):
            start = _first_frame(i)
            yield slice(start, start + n_frames), chunk

    def changes(self) -> NDArray[np.float64]:
        """(n,) share of the chunks in which another voice begins near a frame."""
        changed, seen = np.zeros(len(self.counts)), np.zeros(len(self.counts))
        for span, chunk in self.chunks():
            seen[span] += 1
            speaker = alone(chunk)
            spoken = np.flatnonzero(speaker >= 0)
            for frame in spoken[1:][np.diff(speaker[spoken]) != 0] + span.start:
                changed[max(span.start, frame - _CHANGE_FRAMES) : frame + _CHANGE_FRAMES] += 1
        return np.minimum(1.0, changed / np.maximum(seen, 1))


def alone(voices: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n_frames,) the voice that speaks alone, -1 where none or several do."""
    return np.where(voices.sum(axis=-1) == 1, voices.argmax(axis=-1), -1)


def n_chunks(n_samples: int) -> int:
    """How many chunks a recording has; the last one reaches its end."""
    return max(0, -(-(n_samples - CHUNK) // CHUNK_STEP)) + 1


def frame_at(seconds: float) -> int:
    """The frame in which a time lies."""
    return max(0, int((seconds - FIRST_S) / FRAME_S))


def seconds_at(frame: Any) -> Any:
    """
    When a frame begins, or several do.

    >>> round(seconds_at(100), 3)
    1.71
    """
    return frame * FRAME_S + FIRST_S


def runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """
    Where a mask holds, as starts and ends.

    >>> runs(np.array([True, False, True, True]))
    [(0, 1), (2, 4)]
    """
    edges = np.flatnonzero(np.diff(np.r_[0, mask.astype(np.int8), 0]))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def shares(voices: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n_frames + 1, 3): for how many frames each voice has spoken alone, up to each frame."""
    speaker = alone(voices)
    one_hot = speaker[:, None] == np.arange(N_SPEAKERS)
    return np.vstack([np.zeros((1, N_SPEAKERS), np.int64), one_hot.cumsum(axis=0)])


def spans_of(who: NDArray[np.bool_], end_s: float) -> list[tuple[int, float, float]]:
    """Turns, as speaker, start and end, of (n, n_speakers) who speaks; within the recording."""
    found = []
    for speaker, mask in enumerate(who.T):
        for a, b in runs(mask):
            start, end = max(0.0, seconds_at(a)), min(end_s, seconds_at(b))
            if end > start:
                found.append((speaker, start, end))
    return sorted(found, key=lambda turn: turn[1:])


def _first_frame(chunk: int) -> int:
    return round(chunk * CHUNK_STEP / STEP)
