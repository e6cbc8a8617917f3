"""An option that is said to change what is written changes what a real model writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from real_speech import CONVERSATION, n_errors, samples_of, text_of, turns_of, write_wav

from shared.transcript import Transcript

pytestmark = pytest.mark.speech

Hear = Callable[..., Transcript]

TURNS = turns_of("conversation")


@pytest.fixture(scope="module")
def boat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first turn of the conversation, 4.5 s."""
    folder = tmp_path_factory.mktemp("boat")
    return write_wav(folder / "boat.wav", [samples_of(CONVERSATION, folder, 4.5)])


def test_what_was_said_before_is_told_unless_that_is_switched_off(
    hear: Hear, conversation: Transcript
) -> None:
    alone = hear(CONVERSATION, condition_on_previous_text=False)

    assert n_errors(text_of(TURNS), alone.text) <= 2
    assert alone.options["condition_on_previous_text"] is False
    first, second = ([s.avg_logprob for s in t.segments] for t in (conversation, alone))
    assert first[0] == second[0], "nothing was said before the first chunk"
    assert first[-1] != second[-1]


def test_a_text_is_drawn_only_where_it_is_asked_for(hear: Hear, boat: Path) -> None:
    failing = {"logprob_threshold": -0.05, "no_speech_threshold": None}
    once, drawn = (
        hear(boat, "tiny.en", temperature_increment=step, **failing) for step in (0, 0.5)
    )

    hot = hear(boat, "tiny.en", temperature=1.0)

    temperatures = [{segment.temperature for segment in t.segments} for t in (once, drawn, hot)]
    assert (temperatures[0], temperatures[2]) == ({0.0}, {1.0})
    assert temperatures[1] <= {0.0, 0.5, 1.0}
    best, first = (max(s.avg_logprob for s in t.segments) for t in (drawn, once))
    assert best >= first, "of several tries the most probable is kept"


def test_without_vad_all_of_it_is_decoded(hear: Hear, boat: Path) -> None:
    plain, whole = hear(boat), hear(boat, vad=False)

    assert n_errors(TURNS[0].text, whole.text) <= 1
    assert whole.duration_after_vad == whole.duration > plain.duration_after_vad


@pytest.mark.parametrize("option", ["prompt", "hotwords"])
def test_names_to_expect_are_spelled_as_they_were_told(hear: Hear, boat: Path, option: str) -> None:
    told = hear(boat, "tiny.en", **{option: "Dyd yoo lissen too the interfew on the bote?"})
    plain = hear(boat, "tiny.en")

    assert "boat" in plain.text and "bote" in told.text
    assert n_errors(plain.text, told.text) <= 3


def test_the_language_of_every_segment_is_told_where_it_was_asked_for(
    hear: Hear, boat: Path
) -> None:
    one, many = hear(boat), hear(boat, multilingual=True)

    assert {segment.language for segment in one.segments} == {None}
    assert {segment.language for segment in many.segments} == {"en"}
    assert one.text == many.text
