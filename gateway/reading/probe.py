"""Whether a file is audio, and how long: found by a process with limits (`probe_audio.py`)."""

from __future__ import annotations

import json
import logging
import math
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from shared.errors import AudioUnreadable
from shared.tracks import check_track

_PROGRAM = Path(__file__).with_name("probe_audio.py")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrackFacts:
    """
    One audio track of a file.

    Attributes:
        duration_s: How long the audio in the file is, whatever its header says.
        codec: FFmpeg's name of it; "" if FFmpeg does not know it.
    """

    duration_s: float
    n_channels: int
    codec: str


@dataclass(frozen=True)
class AudioFacts:
    """
    What a file holds.

    Attributes:
        container: FFmpeg's name of the file's format.
        tracks: In the order of the file; at least one.
        chosen: The index of the track that is taken if the caller names none.
    """

    container: str
    tracks: tuple[TrackFacts, ...]
    chosen: int = 0

    @property
    def duration_s(self) -> float:
        """How long the chosen track is."""
        return self.track().duration_s

    @property
    def codec(self) -> str:
        """The codec of the chosen track."""
        return self.track().codec

    def track(self, number: int | None = None) -> TrackFacts:
        """
        A track of the file.

        Args:
            number: The option `audio_track`, from 1; None for the chosen track.

        Raises:
            InvalidRequest: The file has fewer tracks.
        """
        if number is None:
            return self.tracks[self.chosen]
        check_track(number, len(self.tracks))
        return self.tracks[number - 1]


class Probe:
    """
    Finds out what files hold, a limited number at a time.

    The gateway itself never opens a caller's file. Each file has a process of its own: if a
    decoder crashes, loops or allocates without end, only that process ends.

    Args:
        timeout_s: How long one file may take, both on the clock and of CPU time.
        memory_bytes: How much address space one process may use.
        n_at_once: How many processes may run at the same time.
    """

    def __init__(self, *, timeout_s: float, memory_bytes: int, n_at_once: int) -> None:
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._turns = threading.BoundedSemaphore(n_at_once)

    def __call__(self, path: Path) -> AudioFacts:
        """
        Return what the file holds.

        Raises:
            AudioUnreadable: It is not audio, is broken, or takes too much time or memory.
        """
        cpu_s, memory_bytes = math.ceil(self._timeout_s), self._memory_bytes
        # -I: neither the environment nor the working directory adds a module.
        command = [sys.executable, "-I", str(_PROGRAM), str(path.absolute())]
        command += [str(cpu_s), str(memory_bytes)]
        try:
            with self._turns:
                ended = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=self._timeout_s,
                    env={},
                    cwd="/",
                    check=False,
                )
        except subprocess.TimeoutExpired:
            raise AudioUnreadable(
                f"the audio could not be looked through within {self._timeout_s:g} s "
                "(LONGHAND_PROBE_TIMEOUT_S)"
            ) from None
        return _read_answer(ended)


def _read_answer(ended: subprocess.CompletedProcess[bytes]) -> AudioFacts:
    if ended.returncode != 0:
        _log.warning(
            "the audio probe ended with %s: %s",
            ended.returncode,
            ended.stderr[-500:].decode(errors="replace").strip(),
        )
        raise AudioUnreadable("the file cannot be read as audio: looking into it failed")
    answer = json.loads(ended.stdout)
    if "problem" in answer:
        raise AudioUnreadable(answer["problem"])
    tracks = tuple(TrackFacts(**track) for track in answer.pop("tracks"))
    return AudioFacts(tracks=tracks, **answer)
