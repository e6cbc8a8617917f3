"""Whose voice is whose, by vectors alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource
from worker.diarization.known_speakers import embed_recording, match_speakers

ANN, BOB = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])


def test_of_several_recordings_of_a_name_the_mean_counts():
    apart = [("Ann", ANN + BOB), ("Ann", 3 * (ANN - BOB)), ("Bob", ANN + 0.6 * BOB)]

    assert match_speakers({"SPEAKER_00": ANN}, apart) == {"SPEAKER_00": "Ann"}


def test_nobody_is_matched_twice():
    found = {"SPEAKER_00": ANN, "SPEAKER_01": ANN + 0.1 * BOB}

    assert match_speakers(found, [("Ann", ANN), ("Ann", ANN)]) == {"SPEAKER_00": "Ann"}


@pytest.fixture
def recording(tmp_path: Path) -> Any:
    """A function that writes a recording whose seconds are loud as told."""

    def write(*levels: int) -> AudioSource:
        samples = np.repeat(np.array(levels, "<i2"), SAMPLE_RATE_HZ)
        path = tmp_path / "voice.pcm"
        path.write_bytes(samples.tobytes())
        return AudioSource(path, len(samples))

    return write


def hear(samples: Any) -> Any:
    """Ann speaks loudly, Bob softly; nobody in silence."""
    seconds = np.round(np.abs(samples) * 32768).reshape(-1, SAMPLE_RATE_HZ).mean(axis=1)
    loud, soft = int((seconds > 100).sum()), int(((seconds > 0) & (seconds <= 100)).sum())
    if not loud and not soft:
        return None, 0.0
    return (ANN, float(loud)) if loud >= soft else (BOB, float(soft))


def test_the_whole_of_a_recording_is_heard(recording):
    voice, seconds = embed_recording(recording(0, 0, 0, 0, 500, 500, 500), 2.0, hear)

    assert voice == pytest.approx(3 * ANN)
    assert seconds == 3


def test_a_person_who_speaks_less_in_a_recording_is_left_out(recording):
    voice, seconds = embed_recording(recording(500, 500, 50, 500, 50, 500), 2.0, hear)

    assert (list(voice / np.linalg.norm(voice)), seconds) == (list(ANN), 4)


def test_in_silence_no_voice_is_heard(recording):
    assert embed_recording(recording(0, 0, 0), 2.0, hear) == (None, 0.0)
    assert embed_recording(recording(), 2.0, hear) == (None, 0)
