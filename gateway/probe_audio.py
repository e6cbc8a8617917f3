"""
Say what an audio file holds: `python gateway/probe_audio.py FILE [CPU SECONDS] [MEMORY BYTES]`.

Prints one JSON object, either `{"duration_s", "container", "codec"}` or `{"problem"}`.
It runs as a process of its own, with limits, since it opens whatever strangers send;
so it imports nothing of ours and sees no setting and no secret.
"""

from __future__ import annotations

import json
import resource
import sys
from fractions import Fraction
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet

CONTAINERS = (
    "wav,w64,aiff,caf,au,mp3,flac,ogg,aac,ac3,eac3,amr,asf,mov,matroska,mpeg,mpegts,avi,flv,wv"
)
"""FFmpeg's names of what may be opened: one file each, never a list of other files."""

OPTIONS = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}

# Before PyAV 19 a tag that is not UTF-8 (old Chinese MP3s) is an error unless it is
# told otherwise; since 19 the argument is gone. To be removed with `av>=19`.
_KEEP_GOING: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
)

N_PACKETS_TRIED = 200
"""The first packets of a cut stream may be broken; one of so many has to give sound."""

READ = "wav, mp3, flac, ogg, opus, m4a, aac, wma, amr, aiff, or the sound of mp4, webm, mkv, mov"


class Unreadable(Exception):
    """The file is not audio, or none of it can be read."""


def probe(path: str) -> dict[str, object]:
    """Open a file, decode until there is sound, and add up its packets."""
    try:
        container = av.open(path, options=OPTIONS, **_KEEP_GOING)
    except (FFmpegError, ValueError) as error:
        raise Unreadable(f"the file is not audio of a kind we read ({READ})") from error
    with container:
        if not container.streams.audio:
            raise Unreadable("the file holds no sound, only pictures or text")
        stream = container.streams.audio[0]
        if not stream.rate or not stream.channels:
            raise Unreadable("the file is not audio: it has no sample rate or no channels")
        duration_s = _scan(container, stream)
        return {
            "duration_s": round(duration_s, 3),
            "container": container.format.name,
            "codec": stream.codec_context.name,
        }


def _scan(container: InputContainer, stream: AudioStream) -> float:
    """Seconds of audio that are really there; headers are not believed."""
    has_sound, n_tried, total, first, end = False, 0, 0, None, 0
    n_untimed = 0
    try:
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if not has_sound and n_tried < N_PACKETS_TRIED:
                n_tried += 1
                has_sound = _gives_sound(stream, packet)
            total += packet.duration or 0
            n_untimed += not packet.duration
            if packet.pts is not None:
                first = packet.pts if first is None else min(first, packet.pts)
                end = max(end, packet.pts + (packet.duration or 0))
    except FFmpegError:
        pass  # the rest of the file is broken; what came before it counts
    if not n_tried:
        raise Unreadable("the audio is empty: it holds no sound at all")
    if not has_sound:
        raise Unreadable("the file looks like audio, but none of it can be decoded")
    # Durations add up right even when a file lies about its times; the span
    # of the times is for containers whose packets carry no duration.
    units = total if not n_untimed or first is None else max(total, end - first)
    return float(units * (stream.time_base or Fraction(1, stream.rate)))


def _gives_sound(stream: AudioStream, packet: Packet[AudioStream]) -> bool:
    try:
        return any(frame.samples > 0 for frame in stream.codec_context.decode(packet))
    except (FFmpegError, ValueError):
        return False


def _limit(cpu_s: int, memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(path: str, cpu_s: str = "60", memory_bytes: str = "1000000000") -> None:
    """Limit this process, look into the file and print what it is."""
    _limit(int(cpu_s), int(memory_bytes))
    av.logging.set_level(None)
    try:
        answer = probe(path)
    except Unreadable as error:
        answer = {"problem": str(error)}
    except MemoryError:
        answer = {"problem": "the file needs more memory to be read than we allow"}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
