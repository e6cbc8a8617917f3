"""The bundled recordings are what their tables say."""

from __future__ import annotations

import numpy as np
import pytest
from real_speech import SAMPLES, turns_of

from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import decode

_AUDIBLE = 0.01


@pytest.fixture
def sounds_of(tmp_path):
    """A function that gives the times, in seconds, at which a sample is heard, and its length."""

    def listen(name):
        audio = decode(SAMPLES / f"{name}.flac", tmp_path / "audio.pcm")
        heard = np.flatnonzero(np.abs(audio.read(0, audio.n_samples)) > _AUDIBLE)
        return heard / SAMPLE_RATE_HZ, audio.duration_s

    return listen


@pytest.mark.parametrize("name", ["conversation", "mandarin"])
def test_a_sample_is_heard_where_its_table_has_a_turn_and_nowhere_else(name, sounds_of):
    turns, (heard, duration_s) = turns_of(name), sounds_of(name)
    times = [time for turn in turns for time in (turn.start, turn.end)]
    spans = [heard[(heard > turn.start) & (heard < turn.end)] for turn in turns]

    assert times == sorted(times)
    assert 0 < times[0] < times[-1] < duration_s
    assert sum(map(len, spans)) == len(heard)
    for turn, span in zip(turns, spans, strict=True):
        assert (span[0], span[-1]) == pytest.approx((turn.start, turn.end), abs=0.15)


def test_in_the_conversation_two_speakers_take_turns():
    turns = turns_of("conversation")
    pauses = [after.start - before.end for before, after in zip(turns, turns[1:], strict=False)]

    assert [turn.speaker for turn in turns] == (["Ann", "Ben"] * len(turns))[: len(turns)]
    assert all(1.9 < turn.end - turn.start < 10 for turn in turns)
    assert all(0.29 < pause < 1.01 for pause in pauses)


def test_every_sample_is_told_of():
    told = (SAMPLES / "README.md").read_text("utf-8")

    assert [p.name for p in SAMPLES.iterdir() if f"`{p.name}`" not in told] == ["README.md"]
    assert sum(path.stat().st_size for path in SAMPLES.iterdir()) < 2_500_000
