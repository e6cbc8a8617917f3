"""Where nobody speaks, real models write nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from real_speech import samples_of, write_wav
from sounds import make_sound

from shared.transcript import Transcript

pytestmark = pytest.mark.speech

Hear = Callable[..., Transcript]


@pytest.mark.parametrize("model", ["base", "tiny.en"])
@pytest.mark.parametrize("sound", ["silence", "hum", "white noise", "pink noise"])
@pytest.mark.parametrize("level", [0.08, 10**-2.5])
def test_made_noise_has_no_words(
    hear: Hear, tmp_path: Path, sound: str, level: float, model: str
) -> None:
    clip = write_wav(tmp_path / "clip.wav", [make_sound(sound, 20, seed=5, level=level)])

    heard = hear(clip, model)

    assert (heard.text, heard.segments, heard.duration_after_vad) == ("", (), 0.0)


@pytest.mark.parametrize("model", ["base", "tiny.en"])
@pytest.mark.parametrize("clip", ["noise1.flac", "noise2.flac", "noise3.flac"])
def test_recorded_noise_has_no_words(hear: Hear, speech_dir: Path, clip: str, model: str) -> None:
    assert hear(speech_dir / "clips" / clip, model).text == ""


@pytest.mark.parametrize("clip", ["noise1.flac", "noise2.flac", "noise3.flac"])
@pytest.mark.parametrize("db", [-20, -30, -40])
def test_recorded_noise_has_no_words_when_it_is_quiet(
    hear: Hear, speech_dir: Path, tmp_path: Path, clip: str, db: float
) -> None:
    noise = samples_of(speech_dir / "clips" / clip, tmp_path) * 10 ** (db / 20)

    assert hear(write_wav(tmp_path / "quiet.wav", [noise.astype(np.int16)])).text == ""
