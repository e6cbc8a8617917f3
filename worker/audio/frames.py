"""The frames of an audio track, resampled to 16 kHz, in runs of one kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any, TypeAlias

import av
import numpy as np

from shared.sound_clock import SoundClock, start_of
from worker.audio.constants import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from av import AudioFrame
    from av.container import InputContainer
    from numpy.typing import NDArray


Samples: TypeAlias = "NDArray[np.float32]"

_REPORT_EVERY = 500
"""Packets between two reports of progress."""


@dataclass(frozen=True)
class Run:
    """
    Frames that follow each other without a gap and are of one kind.

    Attributes:
        silence_s: The gap before the first frame.
        layout, n_channels: Those of each frame.
        is_in_16_bits: Whether the samples have no more than 16 bits.
    """

    silence_s: float
    layout: Any
    n_channels: int
    is_in_16_bits: bool
    frames: Iterator[AudioFrame]


def runs(
    container: InputContainer, track: Any, n_bytes: int, report: Callable[[float], None]
) -> Iterator[Run]:
    """
    Yield the frames of a track in runs. Each run has to be read before the next is asked for.

    Broken packets are skipped, as players do.

    Args:
        n_bytes: Size of the file.
        report: Called now and then with the fraction of bytes read.
    """
    placed = _placed(container, track, _decoded(container, track, n_bytes, report))
    # A resampler takes one kind of frame; recordings that were joined may hold several.
    for _, group in groupby(placed, lambda one: (one[0], _kind(one[2]))):
        yield _run(group)


def _run(placed: Iterator[tuple[int, float, AudioFrame]]) -> Run:
    _, silence_s, first = next(placed)
    frames = chain([first], (frame for _, _, frame in placed))
    is_in_16_bits = first.format.name.rstrip("p") in ("u8", "s16")
    return Run(silence_s, first.layout, first.layout.nb_channels, is_in_16_bits, frames)


def _decoded(
    container: InputContainer, track: Any, n_bytes: int, report: Callable[[float], None]
) -> Iterator[AudioFrame]:
    fraction = 0.0
    for i, packet in enumerate(container.demux(track)):
        if packet.pos is not None:
            fraction = min(1.0, packet.pos / n_bytes)
        if i % _REPORT_EVERY == 0:
            report(fraction)
        with suppress(av.InvalidDataError):
            yield from packet.decode()


def _placed(
    container: InputContainer, track: Any, frames: Iterator[AudioFrame]
) -> Iterator[tuple[int, float, AudioFrame]]:
    """Yield for each frame the number of gaps so far, the silence before it, and the frame."""
    clock = SoundClock(start_of(container, track))
    n_holes = 0
    for frame in frames:
        if not frame.samples or not frame.sample_rate:
            continue
        pts, unit = frame.pts, frame.time_base
        at_s = float(pts * unit) if pts is not None and unit else None
        silence_s = clock.silence_before(at_s, frame.samples / frame.sample_rate)
        n_holes += silence_s > 0
        yield n_holes, silence_s, frame


def _kind(frame: AudioFrame) -> tuple[str, str, int, int]:
    return frame.format.name, frame.layout.name, frame.layout.nb_channels, frame.sample_rate


def resampled(run: Run, *wanted: tuple[str, Any]) -> Iterator[tuple[NDArray[Any], ...]]:
    """
    Yield a run in several forms at once, piece by piece.

    Args:
        wanted: For each form, the type of its samples, `s16` or `flt`, and its layout. Forms in the
            frames' own layout must come first: FFmpeg writes a guess into frames without a layout.

    Yields:
        For each form (n_samples, n_channels), int16 or float32; `n_samples` may differ.
    """
    # Always packed, since PyAV cannot read planes of 8 channels and more.
    makers = [av.AudioResampler(form, layout, SAMPLE_RATE_HZ) for form, layout in wanted]
    for frame in chain(run.frames, [None]):
        pieces = tuple(_joined(maker, frame) for maker in makers)
        if any(map(len, pieces)):
            yield pieces


def _joined(maker: Any, frame: AudioFrame | None) -> NDArray[Any]:
    pieces = [_samples(piece) for piece in maker.resample(frame)]
    if len(pieces) == 1:
        return pieces[0]
    return np.concatenate(pieces) if pieces else np.empty((0, 0), np.int16)


def _samples(frame: AudioFrame) -> NDArray[Any]:
    # A plane has padding after its samples.
    n_channels = frame.layout.nb_channels
    kind = np.dtype("<i2" if frame.format.name == "s16" else "<f4")
    n_values = frame.samples * n_channels
    return np.frombuffer(bytes(frame.planes[0]), kind, n_values).reshape(-1, n_channels)
