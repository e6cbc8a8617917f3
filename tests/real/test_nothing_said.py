"""Where nobody speaks, real models write nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from real_speech import write_wav
from sounds import make_sound

from shared.transcript import Transcript

Hear = Callable[..., Transcript]


@pytest.mark.parametrize("model", ["base", "tiny.en"])
@pytest.mark.parametrize("sound", ["silence", "hum", "white noise", "pink noise"])
def test_made_noise_has_no_words(hear: Hear, tmp_path: Path, sound: str, model: str) -> None:
    clip = write_wav(tmp_path / "clip.wav", [make_sound(sound, 20, seed=5)])

    heard = hear(clip, model)

    assert (heard.text, heard.segments, heard.duration_after_vad) == ("", (), 0.0)


@pytest.mark.parametrize("model", ["base", "tiny.en"])
@pytest.mark.parametrize("clip", ["noise1.flac", "noise2.flac", "noise3.flac"])
def test_recorded_noise_has_no_words(hear: Hear, speech_dir: Path, clip: str, model: str) -> None:
    assert hear(speech_dir / "clips" / clip, model).text == ""
