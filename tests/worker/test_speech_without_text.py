"""What is heard and not written is warned of, with its times; nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from decodings import seconds, segment

from shared.transcript import Warned
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource, Span
from worker.decoding.speech_without_text import (
    find_speech_without_text,
    speech_without_text_warnings,
)
from worker.speech.detection import Speech
from worker.speech.sounds import find_sounds

LONG = " word" * 80


def speech(*voiced: Span, sounds: tuple[Span, ...] = ()) -> Speech:
    return Speech((seconds(0, 100),), voiced, voiced, sounds=sounds)


@pytest.mark.parametrize(
    ("told", "missing"),
    [
        pytest.param([(2, 12)], [], id="all of it"),
        pytest.param([(2.9, 11.1)], [], id="all but moments"),
        pytest.param([], [seconds(2, 12)], id="none"),
        pytest.param([(2, 5), (8, 12)], [seconds(5, 8)], id="a place between"),
        pytest.param([(2, 10)], [seconds(10, 12)], id="the end"),
        pytest.param([(3.2, 12)], [seconds(2, 3.2)], id="the beginning"),
        pytest.param([(2, 6), (6.9, 12)], [], id="less than a second"),
    ],
)
def test_speech_has_text_or_a_warning(told: list[tuple[float, float]], missing: list[Span]) -> None:
    segments = [segment(LONG, start, end) for start, end in told]

    assert find_speech_without_text(speech(seconds(2, 12)), segments) == missing


def test_places_that_are_close_are_one() -> None:
    voiced = seconds(0, 0.8), seconds(1.2, 2.0), seconds(40, 40.9), seconds(50, 55)

    assert find_speech_without_text(speech(*voiced), [segment(LONG, 50, 55)]) == [seconds(0, 2.0)]


def test_where_nothing_is_written_any_voice_is_told_of() -> None:
    assert find_speech_without_text(speech(seconds(1, 1.3)), []) == [seconds(1, 1.3)]
    assert (
        find_speech_without_text(speech(seconds(1, 1.3), seconds(9, 12)), [segment(LONG, 9, 12)])
        == []
    )


def test_a_sound_counts_where_nobody_speaks() -> None:
    found = speech(seconds(0, 5), sounds=(seconds(10, 20), seconds(30, 40)))

    assert find_speech_without_text(found, [segment(LONG, 0, 5), segment(LONG, 30, 40)]) == [
        seconds(10, 20)
    ]


def test_of_a_segment_with_too_little_text_the_rest_is_missing() -> None:
    """Three words in ten seconds of speech: somebody said more."""
    assert find_speech_without_text(speech(seconds(0, 10)), [segment(" one two three", 0, 10)]) == [
        seconds(2.5, 10)
    ]


def test_a_warning_tells_when() -> None:
    voiced = [seconds(10 * n, 10 * n + 2.04) for n in range(8)]

    [warned] = speech_without_text_warnings(speech(*voiced), [segment(LONG, 0, 2)])

    assert warned.code == "speech_without_text"
    assert warned.message == (
        "speech or other sound without text, 14.3 s in 7 places: 0:10.0-0:12.0, 0:20.0-0:22.0, "
        "0:30.0-0:32.0, 0:40.0-0:42.0, 0:50.0-0:52.0 and 2 more"
    )
    told = warned.model_dump(mode="json")["spans"]
    assert told[0] == {"start": 10.0, "end": 12.04} and len(told) == 7


def test_a_warning_tells_a_bounded_number_of_places() -> None:
    voiced = [seconds(10 * n, 10 * n + 2) for n in range(500)]

    [warned] = speech_without_text_warnings(speech(*voiced), [])

    assert "in 500 places" in warned.message and "495 more" in warned.message
    assert warned.spans is not None and len(warned.spans) == 100


def test_a_warning_of_no_place_is_as_it_was() -> None:
    assert Warned(code="a", message="b").model_dump() == {"code": "a", "message": "b"}
    assert speech_without_text_warnings(speech(seconds(0, 2)), [segment(LONG, 0, 2)]) == []


Noise = Callable[..., AudioSource]


@pytest.fixture
def noise(tmp_path: Path) -> Noise:
    """A function that makes a recording of white noise, a second at each level in dBFS."""

    def make(*levels_db: float) -> AudioSource:
        drawn = np.random.default_rng(0).standard_normal((len(levels_db), SAMPLE_RATE_HZ))
        scaled = drawn * 10 ** (np.array(levels_db)[:, None] / 20)
        path = tmp_path / "a.pcm"
        (np.clip(scaled, -1, 1) * 32767).astype("<i2").tofile(path)
        return AudioSource(path, len(levels_db) * SAMPLE_RATE_HZ)

    return make


def sounds(audio: AudioSource, *voiced: Span) -> list[Span]:
    return find_sounds(audio, Span(0, audio.n_samples), voiced)


def test_without_speech_whatever_can_be_heard_is_a_sound(noise: Noise) -> None:
    assert sounds(noise(-90, -40, -40, -90, -50, -50, -50)) == [seconds(1, 3), seconds(4, 7)]
    assert sounds(noise(-90, -80, -80, -80, -40, -90)) == [], "a second is not more than a second"


def test_beside_speech_a_sound_is_what_is_about_as_loud(noise: Noise) -> None:
    audio = noise(-20, -20, -35, -35, -90, -26, -26, -26, -90)

    assert sounds(audio, seconds(0, 2)) == [seconds(5, 8)]
    assert sounds(audio, seconds(0, 2), seconds(5, 8)) == []


def test_a_part_of_a_recording_is_heard_by_itself(noise: Noise) -> None:
    audio = noise(-30, -30, -30, -30, -30)

    assert find_sounds(audio, seconds(1, 3.5), ()) == [seconds(1, 3.5)]
