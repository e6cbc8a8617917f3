"""Raw audio of callers as 16-bit samples at 16 kHz: resampled by FFmpeg's libraries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import av
from av.audio.resampler import AudioResampler
from av.error import FFmpegError

from gateway.live.audio.spec import RATE_HZ, SAMPLE_BYTES, AudioSpec
from shared.errors import AudioUnreadable

# FFmpeg's names of sample formats, of codecs, and of one and two channels.
_FORMATS = {"linear16": "s16", "float32": "flt", "uint8": "u8"}
_CODECS = {"mulaw": "pcm_mulaw", "alaw": "pcm_alaw", "opus": "opus"}
_LAYOUTS = {1: "mono", 2: "stereo"}

_OPUS_RATE_HZ = 48_000
"""FFmpeg's decoder gives all Opus at this rate, and the packets do not tell another."""

_MOST_FRAME_BYTES = 1 << 16


class PcmReader:
    """
    Reads raw audio, which may be cut at any byte, but for Opus.

    Args:
        spec: The form of the audio; not a container.
        n_out: How many channels come out, their samples taking turns. With 1, several channels
            are mixed.

    Raises:
        InvalidRequest: The form cannot be read.
    """

    def __init__(self, spec: AudioSpec, n_out: int = 1) -> None:
        spec.check()
        assert spec.encoding is not None
        self._encoding = spec.encoding
        self._rate_hz = _OPUS_RATE_HZ if spec.encoding == "opus" else spec.rate_hz
        self._passes = spec == AudioSpec() and n_out == 1
        self._frame_bytes = SAMPLE_BYTES.get(spec.encoding, 0) * spec.n_channels
        self._rest = b""
        self._n_out = n_out
        self._layout = _LAYOUTS[spec.n_channels]
        self._resampler = AudioResampler("s16", _LAYOUTS[n_out], RATE_HZ)
        self._decoder: Any = None
        if spec.encoding in _CODECS:
            self._decoder = av.CodecContext.create(_CODECS[spec.encoding], "r")
            self._decoder.sample_rate = self._rate_hz
            self._decoder.layout = self._layout

    def read(self, data: bytes) -> bytes:
        """
        The next samples, as 16-bit little-endian, 16 kHz.

        Raises:
            AudioUnreadable: This is no packet of Opus.
        """
        if self._passes or not data:
            return data
        return b"".join(self._resampled(frame) for frame in self._frames(data))

    def rest(self) -> bytes:
        """The samples that the resampler holds back, once no more audio comes."""
        return b"" if self._passes else self._resampled(None)

    def _frames(self, data: bytes) -> Iterable[Any]:
        if self._encoding == "opus":
            yield from self._decoded(data)
            return
        joined = self._rest + data
        n_bytes = len(joined) // self._frame_bytes * self._frame_bytes
        self._rest = joined[n_bytes:]
        step = _MOST_FRAME_BYTES // self._frame_bytes * self._frame_bytes
        for start in range(0, n_bytes, step):
            part = joined[start : min(start + step, n_bytes)]
            if self._decoder is not None:
                yield from self._decoded(part)
            else:
                yield self._framed(part)

    def _decoded(self, data: bytes) -> Iterable[Any]:
        try:
            yield from self._decoder.decode(av.Packet(data))
        except FFmpegError as error:
            raise AudioUnreadable(
                f"a message of {len(data)} bytes is not {self._encoding} audio"
            ) from error

    def _framed(self, data: bytes) -> Any:
        n_samples = len(data) // self._frame_bytes
        frame = av.AudioFrame(_FORMATS[self._encoding], self._layout, n_samples)
        frame.planes[0].update(data.ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate = self._rate_hz
        return frame

    def _resampled(self, frame: Any) -> bytes:
        if frame is not None:
            frame.pts = None
        parts = self._resampler.resample(frame)
        n_bytes = 2 * self._n_out
        return b"".join(bytes(part.planes[0])[: part.samples * n_bytes] for part in parts)
