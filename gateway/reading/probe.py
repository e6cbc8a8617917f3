"""Is an upload really audio, and how long? Asked of a process with limits (`probe_audio.py`)."""

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
    One audio track of an upload.

    Attributes:
        duration_s: Of the audio that is there, whatever the header says.
        codec: By FFmpeg's name.
    """

    duration_s: float
    n_channels: int
    codec: str


@dataclass(frozen=True)
class AudioFacts:
    """
    What an upload turned out to be.

    Attributes:
        container: By FFmpeg's name.
        tracks: As they stand in it; at least one.
        chosen: Which of them is meant where nobody says so, from 0.
    """

    container: str
    tracks: tuple[TrackFacts, ...]
    chosen: int = 0

    @property
    def duration_s(self) -> float:
        """Of the track that is meant."""
        return self.track().duration_s

    @property
    def codec(self) -> str:
        """Of the track that is meant."""
        return self.track().codec

    def track(self, number: int | None = None) -> TrackFacts:
        """
        The track that is meant.

        Args:
            number: As `audio_track` has it, from 1.

        Raises:
            InvalidRequest: There are fewer.
        """
        if number is None:
            return self.tracks[self.chosen]
        check_track(number, len(self.tracks))
        return self.tracks[number - 1]


class Probe:
    """
    Looks into uploads, a few at a time.

    The gateway itself never opens one: a crash, a loop or an endless
    allocation in a decoder ends a child that lives for this file alone.

    Args:
        timeout_s: Time each may take, on the clock and of a CPU.
        memory_bytes: Address space each may use.
    """

    def __init__(self, *, timeout_s: float, memory_bytes: int, n_at_once: int) -> None:
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._turns = threading.BoundedSemaphore(n_at_once)

    def __call__(self, path: Path) -> AudioFacts:
        """
        Return what the file holds.

        Raises:
            AudioUnreadable: It is not audio, is broken, or took too much to look into.
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
