"""
Say what an audio file holds: `python probe_audio.py FILE [CPU SECONDS] [MEMORY BYTES]`.

Prints one JSON object, either `{"container", "chosen", "tracks": [{"duration_s", "n_channels",
"codec"}]}` or `{"problem"}`. It runs as a process of its own, with limits, since it opens files
that strangers send. It gets no setting and no secret. Of our own modules it imports only
`shared.sound_clock`, since silence and tracks have to be found as the workers find them.
"""

from __future__ import annotations

import json
import resource
import sys
from array import array
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet

sys.path.append(str(Path(__file__).resolve().parents[2]))  # -I leaves the checkout out
from shared.sound_clock import (
    MOST_SILENCE_S,
    SILENT_BELOW,
    SoundClock,
    in_order_of_choice,
    start_of,
)

CONTAINERS = (
    "wav,w64,aiff,caf,au,mp3,flac,ogg,aac,ac3,eac3,amr,asf,mov,matroska,mpeg,mpegts,avi,flv,wv"
)
"""FFmpeg's names of the formats that may be opened. None of them can point to other files."""

OPTIONS = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}

# Before PyAV 19 a tag that is not UTF-8 (old Chinese MP3s) is an error without this argument.
# PyAV 19 has no such argument: to be removed with `av>=19`.
_KEEP_GOING: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
)

N_PACKETS_TRIED = 200
"""The first packets of a stream that was cut may be broken; one of these has to be readable."""

_HEARD_HZ = 8000
"""A track is decoded at this rate to see whether it is silent."""

READ = "wav, mp3, flac, ogg, opus, m4a, aac, wma, amr, aiff, or the sound of mp4, webm, mkv, mov"


class Unreadable(Exception):
    """The file is not audio, or nothing in it can be read."""


def probe(path: str) -> dict[str, object]:
    """Open a file, decode until there is sound, and add up its packets."""
    try:
        container = av.open(path, options=OPTIONS, **_KEEP_GOING)
    except (FFmpegError, ValueError) as error:
        raise Unreadable(f"the file is not audio of a kind we read ({READ})") from error
    with container:
        streams = container.streams.audio
        if not streams:
            raise Unreadable("the file holds no sound, only pictures or text")
        tracks = {stream.index: _Track(container, stream, len(streams) > 1) for stream in streams}
        _scan(container, tracks)
        in_order = [tracks[stream.index] for stream in in_order_of_choice(streams)]
        readable = [track for track in in_order if not track.problem]
        if not readable:
            raise Unreadable(in_order[0].problem)
        chosen = next((track for track in readable if track.sounds), readable[0])
        return {
            "container": container.format.name,
            "chosen": list(tracks.values()).index(chosen),
            "tracks": [track.described() for track in tracks.values()],
        }


def _scan(container: InputContainer, tracks: dict[int, _Track]) -> None:
    try:
        for packet in container.demux(*[track.stream for track in tracks.values()]):
            if packet.size:
                tracks[packet.stream_index].take(packet)
    except FFmpegError:
        pass  # the rest of the file is broken; what came before it counts


class _Track:
    """
    What is found out about a track as its packets are read; headers are not trusted.

    Args:
        is_one_of_several: Whether the file has other tracks. Then the track is decoded until it is
            not silent, since a silent one is not chosen.
    """

    def __init__(
        self, container: InputContainer, stream: AudioStream, is_one_of_several: bool
    ) -> None:
        self.stream = stream
        self._codec: Any = stream.codec_context  # None if FFmpeg lacks it
        self.sounds = False
        self._is_listened_to = is_one_of_several
        self._clock = SoundClock(start_of(container, stream))
        self._start_s = start_of(container, stream)
        self._end_s = self._start_s
        self._resampler = av.AudioResampler("s16", rate=_HEARD_HZ)
        self._has_frames = False
        self._n_packets = self._n_untimed = 0

    @property
    def problem(self) -> str:
        """Why it cannot be read; empty if it can."""
        if self._codec is None:
            return "the audio is of a codec that is not known here"
        if not self.stream.rate or not self.stream.channels:
            return "the file is not audio: it has no sample rate or no channels"
        if not self._n_packets:
            return "the audio is empty: it holds no sound at all"
        if not self._has_frames:
            return "the file looks like audio, but none of it can be decoded"
        return ""

    def described(self) -> dict[str, object]:
        """The track as it is printed."""
        return {
            "duration_s": round(self._duration_s, 3),
            "n_channels": self.stream.channels if self._codec else 0,
            "codec": self._codec.name if self._codec else "",
        }

    @property
    def _duration_s(self) -> float:
        # The durations of packets are right even if a file's times are wrong. Some containers
        # have no durations; then the last time minus the first is used.
        if self._n_untimed:
            return self._end_s - self._start_s
        return self._clock.duration_s

    def take(self, packet: Packet[Any]) -> None:
        """Count a packet, and decode it as long as the track may be silent."""
        if self._codec is None:
            return
        unit = self.stream.time_base or Fraction(1, self.stream.rate or 1)
        at_s = None if packet.pts is None else float(packet.pts * unit)
        length_s = float((packet.duration or 0) * unit)
        self._n_packets += 1
        self._n_untimed += not packet.duration
        if not self._n_untimed:
            self._clock.silence_before(at_s, length_s)
        self._end_s = max(self._end_s, (at_s or self._start_s) + length_s)
        is_tried = self._has_frames or self._n_packets > N_PACKETS_TRIED
        is_heard = self.sounds or self._clock.duration_s > MOST_SILENCE_S
        if not is_tried or (self._is_listened_to and not is_heard):
            self._listen(packet)

    def _listen(self, packet: Packet[Any]) -> None:
        try:
            for frame in self._codec.decode(packet):
                self._has_frames = self._has_frames or frame.samples > 0
                if self._is_listened_to:
                    self.sounds = self.sounds or any(map(_sounds, self._resampler.resample(frame)))
        except (FFmpegError, ValueError):
            return


def _sounds(frame: av.AudioFrame) -> bool:
    n_bytes = frame.samples * frame.layout.nb_channels * 2
    heard = bytes(frame.planes[0])[:n_bytes]
    if heard.count(0) == n_bytes:  # the usual case, and quick to check
        return False
    values = array("h", heard)
    return max(max(values), -min(values)) > SILENT_BELOW * 32768


def _limit(cpu_s: int, memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(path: str, cpu_s: str = "60", memory_bytes: str = "1000000000") -> None:
    """Limit this process, read the file and print what it holds."""
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
