"""Raw audio of callers as 16 kHz, mono, 16-bit: resampled by FFmpeg's libraries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
from av.audio.resampler import AudioResampler

from shared.errors import InvalidRequest

RATE_HZ = 16_000
_RATES_HZ = (4_000, 192_000)
_MOST_CHANNELS = 2

# FFmpeg's names of sample formats, and of codecs.
_FORMATS = {"linear16": "s16", "float32": "flt", "uint8": "u8"}
_CODECS = {"mulaw": "pcm_mulaw", "alaw": "pcm_alaw"}
_BYTES = {"linear16": 2, "float32": 4, "uint8": 1, "mulaw": 1, "alaw": 1}


@dataclass(frozen=True)
class PcmSpec:
    """
    The form of raw audio.

    Attributes:
        encoding: `linear16` (little-endian), `float32`, `uint8`, `mulaw` or `alaw`.
    """

    encoding: str = "linear16"
    rate_hz: int = RATE_HZ
    n_channels: int = 1

    def check(self) -> None:
        """
        Check that this can be read.

        Raises:
            InvalidRequest: It cannot.
        """
        if self.encoding not in _BYTES:
            raise InvalidRequest(
                f"encoding is {self.encoding[:50]!r}; it must be one of {', '.join(_BYTES)}",
                param="encoding",
            )
        low, high = _RATES_HZ
        if not low <= self.rate_hz <= high:
            raise InvalidRequest(
                f"sample_rate is {self.rate_hz}; it must be {low} to {high}", param="sample_rate"
            )
        if not 1 <= self.n_channels <= _MOST_CHANNELS:
            raise InvalidRequest(
                f"channels is {self.n_channels}; it must be 1 or {_MOST_CHANNELS}",
                param="channels",
            )


class PcmReader:
    """
    Reads raw audio, which may be cut at any byte.

    Raises:
        InvalidRequest: The form cannot be read.
    """

    def __init__(self, spec: PcmSpec) -> None:
        spec.check()
        self._spec = spec
        self._frame_bytes = _BYTES[spec.encoding] * spec.n_channels
        self._rest = b""
        self._layout = "mono" if spec.n_channels == 1 else "stereo"
        self._resampler = AudioResampler("s16", "mono", RATE_HZ)
        self._decoder: Any = None
        if spec.encoding in _CODECS:
            self._decoder = av.CodecContext.create(_CODECS[spec.encoding], "r")
            self._decoder.sample_rate = spec.rate_hz
            self._decoder.layout = self._layout

    def read(self, data: bytes) -> bytes:
        """The next samples, as 16-bit little-endian, mono, 16 kHz."""
        if self._spec == PcmSpec():
            return data
        joined = self._rest + data
        n_bytes = len(joined) // self._frame_bytes * self._frame_bytes
        whole, self._rest = joined[:n_bytes], joined[n_bytes:]
        return b"".join(self._resampled(frame) for frame in self._frames(whole))

    def _frames(self, data: bytes) -> list[Any]:
        if not data:
            return []
        if self._decoder is not None:
            return list(self._decoder.decode(av.Packet(data)))
        frame = av.AudioFrame(
            format=_FORMATS[self._spec.encoding],
            layout=self._layout,
            samples=len(data) // self._frame_bytes,
        )
        frame.planes[0].update(data.ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate = self._spec.rate_hz
        return [frame]

    def _resampled(self, frame: Any) -> bytes:
        frame.pts = None
        parts = self._resampler.resample(frame)
        return b"".join(bytes(part.planes[0])[: part.samples * 2] for part in parts)
