"""Which texts are in doubt, and which of two is kept."""

from __future__ import annotations

from typing import Any

import pytest
from decodings import decoding, seconds, segment

from worker.engines.base import DecodeOptions
from worker.looks import Hole, Look, better, is_doubtful, likelier

CHUNK = seconds(10, 40)
VOICED = [seconds(0, 12), seconds(13, 25), seconds(30, 50)]
WORDS = " ".join(f"w{n}" for n in range(80))


def look(*segments: Any, **fields: Any) -> Look:
    said = segments or (segment(WORDS, 0.0, 30.0),)
    return Look.at(CHUNK, DecodeOptions("en"), decoding(*said, **fields), VOICED)


def test_speech_without_text_is_counted_as_far_as_the_chunk_was_heard() -> None:
    told = look(segment(WORDS, 0.0, 14.0), heard_s=22.0)

    # Voiced are 10-12, 13-25 and 30-32 s; told is 10-24 s.
    assert (told.voiced_s, told.untold_s) == (16.0, 3.0)


def test_a_hole_is_much_speech_between_segments_or_under_a_few_words() -> None:
    # Voiced are seconds 0-2, 3-15 and 20-30 of the chunk.
    between = look(segment(WORDS, 0.0, 6.0), segment(WORDS, 14.0, 30.0))
    under = look(segment(WORDS, 0.0, 6.0), segment("eight, the press yard", 6.0, 15.0))
    slow = look(segment(WORDS, 0.0, 6.0), segment("we said it very very slowly once", 6.0, 12.0))

    assert (between.hole, between.untold_s) == (Hole(1, 6.0), 8.0)
    assert under.hole == Hole(1, 6.0)
    assert slow.hole is None


def test_a_whole_probable_text_is_believed() -> None:
    assert not is_doubtful(look())


@pytest.mark.parametrize(
    "doubtful",
    [
        pytest.param(look(avg_logprob=-0.6), id="improbable"),
        pytest.param(look(compression_ratio=2.1), id="repeats itself"),
        pytest.param(look(segment(WORDS, 0.0, 20.0)), id="speech without text"),
        pytest.param(look(segment("a few words", 0.0, 30.0)), id="little text over much speech"),
        pytest.param(
            look(segment("1 2 3 4 5 6 7 8 9 10 11 12 13", 3.0, 4.0), segment(WORDS, 4.0, 30.0)),
            id="more text than can be said",
        ),
    ],
)
def test_a_text_is_in_doubt(doubtful: Look) -> None:
    assert is_doubtful(doubtful)


@pytest.mark.parametrize(
    ("plain", "is_kept"),
    [
        ({"avg_logprob": -0.55}, True),
        ({"avg_logprob": -0.75}, False),
        ({"compression_ratio": 2.5}, False),
        ({"compression_ratio": 2.1}, True),
    ],
)
def test_a_look_without_context_is_kept_unless_it_is_clearly_worse(
    plain: dict[str, Any], is_kept: bool
) -> None:
    first, second = look(avg_logprob=-0.41), look(**{"avg_logprob": -0.5, **plain})

    assert (better(first, second) is second) == is_kept


def test_a_look_that_leaves_more_speech_without_text_is_not_the_better_one() -> None:
    first, second = look(avg_logprob=-0.5), look(segment(WORDS, 0.0, 20.0))

    assert better(first, second) is first


def test_of_failing_texts_the_most_probable_is_kept_and_a_loop_last() -> None:
    passes = look(avg_logprob=-0.9)
    loops = look(avg_logprob=-0.1, compression_ratio=9.0, needs_fallback=True)
    unsure = look(avg_logprob=-1.2, needs_fallback=True)
    unsurer = look(avg_logprob=-1.5, needs_fallback=True)

    assert likelier(loops, unsure) is unsure
    assert likelier(unsure, unsurer) is unsure
    assert likelier(unsure, passes) is passes
