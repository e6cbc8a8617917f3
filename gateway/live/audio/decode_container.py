"""
Decode a container while it arrives: `python decode_container.py FORMAT CPU-SECONDS MEMORY-BYTES`.

Reads the container from stdin and writes samples to stdout: 16-bit little-endian, mono, 16 kHz.
A problem is one line of text on stderr, and exit status 3. It runs as a process of its own, with
limits, as `gateway/reading/probe_audio.py` does, since it reads what strangers send.
"""

from __future__ import annotations

import os
import resource
import sys
from typing import Any

import av
from av.error import FFmpegError

_RATE_HZ = 16_000
_STDIN, _STDOUT, _STDERR = 0, 1, 2
_PROBLEM = 3

_QUICK = {"probesize": "2048", "analyzeduration": "0"}
"""FFmpeg looks at no more audio than this before it decodes."""

_MOST_BROKEN = 50
"""So many packets in a row may be broken, since a stream may be cut anywhere."""


class Unreadable(Exception):
    """The stream cannot be read."""


class _Pipe:
    """Stdin for FFmpeg: gives what is there, as soon as it is; has no `seek`."""

    def read(self, n_bytes: int) -> bytes:
        """At most so many bytes; none at the end."""
        return os.read(_STDIN, n_bytes)


def decode(kind: str) -> None:
    """Decode the first audio track to the end of the stream."""
    try:
        container: Any = av.open(_Pipe(), format=kind, options=_QUICK, buffer_size=4096)
    except (FFmpegError, ValueError) as error:
        raise Unreadable(f"the stream begins as {kind}, but cannot be read as that") from error
    with container:
        if not container.streams.audio:
            raise Unreadable("the stream holds no sound")
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise Unreadable("the sound is of a codec that is not known here")
        _decode_track(container, stream)


def _decode_track(container: Any, stream: Any) -> None:
    resampler = av.AudioResampler("s16", "mono", _RATE_HZ)
    n_broken, has_sound = 0, False
    try:
        for packet in container.demux(stream):
            try:
                frames = stream.codec_context.decode(packet)
                n_broken = 0
            except FFmpegError as error:
                n_broken += 1
                if n_broken > _MOST_BROKEN:
                    raise Unreadable("the sound is broken: none of it can be decoded") from error
                continue
            for frame in frames:
                has_sound = True
                frame.pts = None
                _write(resampler.resample(frame))
    except FFmpegError as error:
        raise Unreadable(f"the stream is broken: {error.strerror}") from error
    if not has_sound:
        raise Unreadable("the stream ended before there was any sound that can be decoded")
    _write(resampler.resample(None))


def _write(frames: list[Any]) -> None:
    for frame in frames:
        left = memoryview(bytes(frame.planes[0])[: frame.samples * 2])
        while left:
            left = left[os.write(_STDOUT, left) :]


def _limit(cpu_s: int, memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(kind: str, cpu_s: str, memory_bytes: str) -> int:
    """Limit this process and decode. Returns the exit status."""
    _limit(int(cpu_s), int(memory_bytes))
    av.logging.set_level(None)
    try:
        decode(kind)
    except Unreadable as error:
        os.write(_STDERR, str(error).encode())
        return _PROBLEM
    except MemoryError:
        os.write(_STDERR, b"the stream needs more memory to be read than is allowed")
        return _PROBLEM
    except BrokenPipeError:
        pass  # nobody listens any more
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
