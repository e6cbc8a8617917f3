"""Containers as strangers make them: tracks that begin late, have holes, or are marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from worker.audio.constants import SAMPLE_RATE_HZ

RATE_HZ = 48_000


@dataclass(frozen=True)
class Piece:
    """Sound of a track, and when its first sample is to be played, in seconds."""

    samples: NDArray[np.float32]
    start_s: float = 0.0


@dataclass(frozen=True)
class Sound:
    """
    An audio track.

    Attributes:
        pieces: Each (n_channels, n_samples) float32 at 16 kHz; between them is nothing.
        is_default: As it is marked; None leaves that to the container.
    """

    pieces: Sequence[Piece]
    codec: str = "aac"
    layout: str = "mono"
    is_default: bool | None = None
    rate_hz: int = RATE_HZ


def sound_of(samples: NDArray[np.float32], start_s: float = 0.0, **how: Any) -> Sound:
    """A track without a hole; `samples` may lack the axis of channels."""
    return Sound((Piece(np.atleast_2d(samples).astype(np.float32), start_s),), **how)


def write_media(
    path: Path,
    sounds: Sequence[Sound],
    *,
    pictures_s: float = 0.0,
    format_name: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """
    Write a container.

    Args:
        pictures_s: Seconds of small grey pictures, from 0 on; 0 for none.
        options: For the container's writer.
    """
    with av.open(str(path), "w", format=format_name, options=options or {}) as out:
        pictures = _picture_stream(out) if pictures_s else None
        streams = [_sound_stream(out, sound) for sound in sounds]
        packets = [p for s, sound in zip(streams, sounds, strict=True) for p in _packets(s, sound)]
        if pictures is not None:
            packets += _pictures(pictures, pictures_s)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            out.mux(packet)
    return path


def _sound_stream(out: Any, sound: Sound) -> Any:
    stream = out.add_stream(sound.codec, rate=sound.rate_hz, layout=sound.layout)
    if sound.is_default is not None:
        kinds = av.stream.Disposition
        stream.disposition = kinds.default if sound.is_default else kinds(0)
    return stream


def _packets(stream: Any, sound: Sound) -> list[Any]:
    """The packets of a track; each piece is cut at whole frames, as encoders take them."""
    unit = Fraction(1, sound.rate_hz)
    packets: list[Any] = []
    for piece in sound.pieces:
        fifo, at = av.AudioFifo(), round(piece.start_s * sound.rate_hz)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(piece.samples.T).reshape(1, -1), format="flt", layout=sound.layout
        )
        frame.sample_rate = 16_000
        resampler = av.AudioResampler(stream.codec_context.format, sound.layout, sound.rate_hz)
        for some in (*resampler.resample(frame), *resampler.resample(None)):
            some.pts = None
            fifo.write(some)
        size = stream.codec_context.frame_size or 1024
        while (some := fifo.read(size, partial=fifo.samples < size)) is not None:
            if some.samples < size and stream.codec_context.frame_size:
                break
            some.pts, some.time_base = at, unit
            at += some.samples
            packets += stream.encode(some)
    return packets + stream.encode(None)


def _picture_stream(out: Any) -> Any:
    stream = out.add_stream("mpeg4", rate=10)
    stream.width = stream.height = 32
    stream.pix_fmt = "yuv420p"
    return stream


def _pictures(stream: Any, length_s: float) -> list[Any]:
    grey = np.full((32, 32, 3), 128, np.uint8)
    packets: list[Any] = []
    for n in range(round(length_s * 10)):
        frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
        frame.pts, frame.time_base = n, Fraction(1, 10)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def tone(length_s: float, hz: float = 440, height: float = 0.2) -> NDArray[np.float32]:
    """A tone, (n_samples,) float32 at 16 kHz."""
    time = np.arange(round(length_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (height * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def pitch_hz(samples: NDArray[np.float32]) -> float:
    """Where the spectrum of a sound is highest."""
    spectrum = np.abs(np.fft.rfft(samples))
    return float(spectrum.argmax() * SAMPLE_RATE_HZ / len(samples))
