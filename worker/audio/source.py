"""Decoded audio: 16-bit samples on disk, of which the pipeline reads spans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from worker.audio.constants import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Span(NamedTuple):
    """A span of samples, `start` inclusive, `end` exclusive."""

    start: int
    end: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return (self.end - self.start) / SAMPLE_RATE_HZ


@dataclass(frozen=True)
class AudioSource:
    """
    Decoded audio on disk: mono, 16 kHz, signed 16-bit little-endian samples.

    It names a file and holds no samples. So the audio may be of any length, and the value can be
    sent to another process.

    Attributes:
        skipped: Spans that `read` leaves out, in time order.
    """

    path: Path
    n_samples: int
    skipped: tuple[Span, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.n_samples / SAMPLE_RATE_HZ

    def read(self, start: int, end: int) -> NDArray[np.float32]:
        """
        Read a span.

        Args:
            start: First sample.
            end: The sample after the last; may be past the end of the audio.

        Returns:
            (n_samples,) float32 in [-1, 1).
        """
        import numpy as np

        pieces: list[NDArray[np.int16]] = []
        for pause in (*self.skipped, Span(end, end)):
            if pause.end > start:
                n = max(0, min(pause.start, end, self.n_samples) - start)
                offset = start * BYTES_PER_SAMPLE
                pieces.append(np.fromfile(self.path, dtype="<i2", count=n, offset=offset))
                start = pause.end
        samples = np.concatenate(pieces) if pieces else np.empty(0, np.int16)
        return samples.astype(np.float32) / np.float32(32768)


def decode(
    path: Path,
    scratch: Path,
    track: int | None = None,
    report: Callable[[float], None] = lambda fraction: None,
) -> AudioSource:
    """
    Decode one audio track of any container to `scratch`, with its channels mixed into one.

    Times are those of the container: where it has no audio, at its beginning or later, silence is
    written. Broken packets are skipped, as players do. A recording or a channel that is far too
    quiet is raised (see `worker.audio.levels`).

    Args:
        track: Its number, from 1; None for the default one, or the next that is not silent.
        report: Called now and then with the fraction of bytes read; what it raises ends the work.

    Raises:
        AudioUnreadable: Nothing in it can be decoded.
        InvalidRequest: There is no track of that number.
    """
    from worker.audio.recordings import write_mix

    return AudioSource(scratch, write_mix(path, scratch, track, report))


def decode_channels(
    path: Path,
    scratch: Path,
    track: int | None = None,
    report: Callable[[float], None] = lambda fraction: None,
) -> tuple[AudioSource, ...]:
    """
    Decode as `decode` does, but each channel into a file of its own, named after `scratch`.

    Raises:
        AudioUnreadable: Nothing in it can be decoded.
        InvalidRequest: There is no track of that number, or it has too many channels.
    """
    from worker.audio.recordings import write_channels

    paths, n_samples = write_channels(path, scratch, track, report)
    return tuple(AudioSource(channel, n_samples) for channel in paths)
