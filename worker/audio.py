"""Audio as the pipeline reads it: decoded once to 16-bit samples on disk, then by span."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from shared.errors import AudioUnreadable

if TYPE_CHECKING:
    import numpy as np
    from av import AudioFrame
    from av.container import InputContainer
    from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
BYTES_PER_SAMPLE = 2
_ONLY_FILES = {"protocol_whitelist": "file"}
"""A playlist in disguise fetches nothing."""

_REPORT_EVERY = 500
"""Packets between two reports of how far decoding is."""


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

    It names a file and holds no samples, so it may be of any length and may
    cross to another process.

    Attributes:
        skipped: Spans that are left out of what is read, in time order.
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
            end: The sample after the last; what lies past the end is not there.

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
    path: Path, scratch: Path, report: Callable[[float], None] = lambda fraction: None
) -> AudioSource:
    """
    Decode any container's first audio stream to `scratch`.

    Broken packets are skipped, as players do: what can be heard is transcribed.

    Args:
        report: Called now and then with the fraction of bytes read.

    Raises:
        AudioUnreadable: Nothing in it can be decoded.
    """
    import av

    n_samples = 0
    try:
        with _open(path) as container, scratch.open("wb") as out:
            if not container.streams.audio:
                raise AudioUnreadable("the file holds no audio stream")
            for samples in _resampled(container, max(1, path.stat().st_size), report):
                n_samples += out.write(samples) // BYTES_PER_SAMPLE
    except av.FFmpegError as error:
        if not n_samples:
            raise AudioUnreadable(f"the audio cannot be decoded: {error}") from error
    if not n_samples:
        raise AudioUnreadable("the audio holds no samples")
    return AudioSource(scratch, n_samples)


def _open(path: Path) -> InputContainer:
    import av

    try:
        return av.open(str(path), options=_ONLY_FILES)
    except UnicodeDecodeError:  # PyAV before 19 reads tags as UTF-8; many old files are Latin-1
        return av.open(str(path), options=_ONLY_FILES, metadata_encoding="latin-1")


def _resampled(
    container: InputContainer, n_bytes: int, report: Callable[[float], None]
) -> Iterator[bytes]:
    """Yield the first audio stream as mono 16 kHz s16le bytes."""
    import av

    # A resampler takes one kind of frame; recordings put together change theirs on the way.
    for _, frames in groupby(_frames(container, n_bytes, report), _kind):
        resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
        for frame in chain(frames, [None]):
            for piece in resampler.resample(frame):
                yield _samples(piece)


def _frames(
    container: InputContainer, n_bytes: int, report: Callable[[float], None]
) -> Iterator[AudioFrame]:
    import av

    fraction = 0.0
    for i, packet in enumerate(container.demux(container.streams.audio[0])):
        if packet.pos is not None:
            fraction = min(1.0, packet.pos / n_bytes)
        if i % _REPORT_EVERY == 0:
            report(fraction)
        with suppress(av.InvalidDataError):
            yield from packet.decode()


def _kind(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _samples(frame: AudioFrame) -> bytes:
    # A plane is padded beyond its samples.
    return bytes(frame.planes[0])[: frame.samples * BYTES_PER_SAMPLE]
