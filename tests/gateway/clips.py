"""Sound to upload: real files of many kinds, and files that only look like it."""

from __future__ import annotations

import io
import math
import random
import struct
import wave
from array import array

import av

RATE_HZ = 16_000
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6300010000000500010d0a2db40000000049454e44ae426082"
)
TEXT = b"These are the notes of the meeting, and not its recording.\n" * 100


def random_bytes(n_bytes: int = 20_000) -> bytes:
    """Bytes that mean nothing, the same ones every time."""
    return random.Random(7).randbytes(n_bytes)


_TONE = array("h", (int(8000 * math.sin(n * math.tau / 40)) for n in range(RATE_HZ)))


def wav(seconds: float = 1.0, *, n_channels: int = 1) -> bytes:
    """A tone of 400 Hz as 16-bit PCM, the same on every channel."""
    out = io.BytesIO()
    tone = (_TONE * math.ceil(seconds))[: round(seconds * RATE_HZ)]
    with wave.open(out, "wb") as file:
        file.setnchannels(n_channels)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(array("h", (s for s in tone for _ in range(n_channels))).tobytes())
    return out.getvalue()


def wav_without_channels() -> bytes:
    """A WAV whose header says that it has no channel."""
    whole = wav(0.2)
    return whole[:22] + struct.pack("<H", 0) + whole[24:]


def encoded(container: str, codec: str, seconds: float = 1.0, *, rate_hz: int = RATE_HZ) -> bytes:
    """A tone in any container and codec that PyAV writes."""
    out = io.BytesIO()
    with av.open(io.BytesIO(wav(seconds))) as source, av.open(out, "w", format=container) as target:
        stream = target.add_stream(codec, rate=rate_hz)
        stream.layout = "mono"
        resampler = av.AudioResampler(
            format=stream.codec_context.format.name, layout="mono", rate=rate_hz
        )
        fifo = av.AudioFifo()
        for frame in [*source.decode(audio=0), None]:
            for converted in resampler.resample(frame):
                converted.pts = None
                fifo.write(converted)
        n_samples = stream.codec_context.frame_size or 1024
        while (piece := fifo.read(n_samples, partial=True)) is not None:
            target.mux(stream.encode(piece))
        target.mux(stream.encode(None))
    return out.getvalue()


def lying_mp3() -> bytes:
    """The first seconds of an MP3 whose header still claims 600."""
    whole = encoded("mp3", "libmp3lame", 600.0, rate_hz=8000)
    return whole[: len(whole) // 24]
