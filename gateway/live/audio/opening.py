"""Opens the audio of a live caller, in whatever form it comes."""

from __future__ import annotations

from array import array
from types import TracebackType
from typing import Protocol, Self

from gateway.live.audio.container import Decoding, Sink
from gateway.live.audio.kinds import SNIFFED_BYTES, container_kind
from gateway.live.audio.pcm import PcmReader
from gateway.live.audio.spec import AudioSpec
from gateway.live.audio.wav import read_header
from shared.errors import AudioUnreadable, InvalidRequest


class _Reader(Protocol):
    async def write(self, data: bytes) -> None: ...
    async def finish(self) -> None: ...
    async def close(self) -> None: ...


class AudioIn:
    """Takes the audio of one caller. `async with` ends what decodes it."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    async def write(self, data: bytes) -> None:
        """
        Take the next bytes, cut anywhere (Opus: one packet). Waits while the sink waits.

        Raises:
            UnsupportedMedia: It is a container of no kind that we read.
            AudioUnreadable: It cannot be decoded.
        """
        await self._reader.write(data)

    async def finish(self) -> None:
        """
        Wait until the sinks have everything; no more audio comes.

        Raises:
            UnsupportedMedia, AudioUnreadable: As for `write`.
        """
        await self._reader.finish()

    async def close(self) -> None:
        """End what decodes, at once; needed unless `finish` has returned."""
        await self._reader.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.close()


class _RawAudio:
    """Raw audio, resampled in this process."""

    def __init__(self, spec: AudioSpec, sinks: tuple[Sink, ...]) -> None:
        self._reader = PcmReader(spec, len(sinks))
        self._sinks = sinks

    async def write(self, data: bytes) -> None:
        await self._spread(self._reader.read(data))

    async def finish(self) -> None:
        await self._spread(self._reader.rest())

    async def close(self) -> None:
        """Nothing is to be ended."""

    async def _spread(self, pcm: bytes) -> None:
        if len(self._sinks) == 1:
            await self._sinks[0](pcm)
            return
        samples = array("h", pcm)
        for n, sink in enumerate(self._sinks):
            await sink(samples[n :: len(self._sinks)].tobytes())


class _Container:
    """A container, whose first bytes tell how it is read: a WAV here, others by a process."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._first = b""
        self._reader: _Reader | None = None

    async def write(self, data: bytes) -> None:
        if self._reader is not None:
            await self._reader.write(data)
            return
        self._first += data
        if len(self._first) >= SNIFFED_BYTES and (found := self._open()):
            self._reader, samples = found
            self._first = b""
            await self._reader.write(samples)

    async def finish(self) -> None:
        if self._reader is None:
            if not self._first:
                raise AudioUnreadable("the audio is empty")
            container_kind(self._first)
            raise AudioUnreadable("the stream ended before there was any sound")
        await self._reader.finish()

    async def close(self) -> None:
        if self._reader is not None:
            await self._reader.close()

    def _open(self) -> tuple[_Reader, bytes] | None:
        """A reader, and the bytes that it begins with; None while too little is there."""
        kind = container_kind(self._first[:SNIFFED_BYTES])
        if kind == "wav":
            # FFmpeg would wait for 64 KiB of samples, two seconds of speech.
            if (header := read_header(self._first)) is None:
                return None
            spec, n_bytes = header
            if spec.encoding:
                return _RawAudio(spec, (self._sink,)), self._first[n_bytes:]
        return Decoding(kind, self._sink), self._first


def open_audio(spec: AudioSpec, *sinks: Sink) -> AudioIn:
    """
    Open the audio of a caller.

    Args:
        spec: Its form.
        sinks: One, for all channels mixed; or one for each channel, in their order. They take
            16-bit little-endian samples, mono, 16 kHz, such as `LiveSession.send`.

    Raises:
        InvalidRequest: Audio of this form cannot be read; it names the parameter and its limits.
    """
    spec.check()
    if len(sinks) > 1 and (spec.encoding is None or spec.n_channels != len(sinks)):
        raise InvalidRequest(
            f"multichannel needs raw audio with channels={len(sinks)}", param="channels"
        )
    if spec.encoding is None:
        return AudioIn(_Container(sinks[0]))
    return AudioIn(_RawAudio(spec, sinks))
