"""Which texts are in doubt, and which of two is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from decodings import decoding, seconds, segment

from worker.decoding.fallback import (
    Candidate,
    TextGap,
    better,
    is_impossible,
    more_probable,
    needs_fallback,
    repeats_last_word,
)
from worker.engines.base import DecodeOptions

OPTIONS = DecodeOptions("en")
CHUNK = seconds(10, 40)
VOICED = [seconds(0, 12), seconds(13, 25), seconds(30, 50)]
WORDS = " ".join(f"w{n}" for n in range(80))


def made(*segments: Any, **fields: Any) -> Candidate:
    said = segments or (segment(WORDS, 0.0, 30.0),)
    return Candidate.at(CHUNK, DecodeOptions("en"), decoding(*said, **fields), VOICED)


def test_speech_without_text_is_counted_as_far_as_the_chunk_was_heard() -> None:
    told = made(segment(WORDS, 0.0, 14.0), heard_s=22.0)

    # Voiced are 10-12, 13-25 and 30-32 s; told is 10-24 s.
    assert (told.voiced_s, told.without_text_s) == (16.0, 3.0)


def test_a_hole_is_much_speech_between_segments_or_under_a_few_words() -> None:
    # Voiced are seconds 0-2, 3-15 and 20-30 of the chunk.
    between = made(segment(WORDS, 0.0, 6.0), segment(WORDS, 14.0, 30.0))
    under = made(segment(WORDS, 0.0, 6.0), segment("eight, the press yard", 6.0, 15.0))
    slow = made(segment(WORDS, 0.0, 6.0), segment("we said it very very slowly once", 6.0, 12.0))

    assert (between.text_gap, between.without_text_s) == (TextGap(1, 6.0), 8.0)
    assert under.text_gap == TextGap(1, 6.0)
    assert slow.text_gap is None


def test_a_whole_probable_text_is_believed() -> None:
    assert not needs_fallback(made())


@pytest.mark.parametrize(
    "doubtful",
    [
        pytest.param(made(avg_logprob=-0.6), id="improbable"),
        pytest.param(made(compression_ratio=2.1), id="repeats itself"),
        pytest.param(made(segment(WORDS, 0.0, 20.0)), id="speech without text"),
        pytest.param(made(segment("a few words", 0.0, 30.0)), id="little text over much speech"),
        pytest.param(
            made(segment("1 2 3 4 5 6 7 8 9 10 11 12 13", 3.0, 4.0), segment(WORDS, 4.0, 30.0)),
            id="more text than can be said",
        ),
    ],
)
def test_a_text_is_in_doubt(doubtful: Candidate) -> None:
    assert needs_fallback(doubtful)


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
    first, second = made(avg_logprob=-0.41), made(**{"avg_logprob": -0.5, **plain})

    assert (better(first, second) is second) == is_kept


def test_a_look_that_leaves_more_speech_without_text_is_not_the_better_one() -> None:
    first, second = made(avg_logprob=-0.5), made(segment(WORDS, 0.0, 20.0))

    assert better(first, second) is first


@pytest.mark.parametrize(
    ("text", "voiced_s", "avg_logprob", "made_up"),
    [
        (" Thank you very much.", 0.28, -0.5, True),
        (" Thank you for watching!", 0.41, -1.2, True),
        (" Thank you.", 0.5, -1.2, True),
        (" Thank you.", 0.5, -0.4, False),
        (" Thank you very much.", 1.2, -1.2, False),
        (" seven", 0.28, -1.2, False),
        (" Thank you, Ann.", 0.6, -1.2, False),
    ],
)
def test_what_is_written_of_a_breath_is_not_believed(
    text: str, voiced_s: float, avg_logprob: float, made_up: bool
) -> None:
    said = decoding(segment(text, 0.0, voiced_s), heard_s=1.0, avg_logprob=avg_logprob)

    found = Candidate.at(seconds(0, 1), OPTIONS, said, [seconds(0, voiced_s)])

    assert is_impossible(found) == made_up


def test_a_sentence_said_three_times_does_not_fit_into_its_first_pause() -> None:
    bursts = [seconds(0, 1.7), seconds(2, 3.7), seconds(4, 5.7)]
    once, slow = " What joy there is in living.", " one two three four five six seven eight nine"

    found, read = (
        Candidate.at(seconds(0, 6), OPTIONS, decoding(segment(text, 0, 6), heard_s=6.0), bursts)
        for text in (once, slow)
    )

    assert found.text_gap is not None and found.without_text_s == pytest.approx(3.4)
    assert read.text_gap is None and read.without_text_s == 0.0


def test_a_sentence_that_was_just_written_does_not_fill_two_bursts_of_speech() -> None:
    bursts, once = [seconds(0, 1.7), seconds(2, 3.7)], " What joy there is in living."
    written = decoding(segment(once, 0, 4), heard_s=4.0)
    twice = decoding(segment(once, -2, 0), segment(once, 0, 4), heard_s=4.0)

    first = Candidate.at(seconds(0, 4), OPTIONS, written, bursts)
    again = Candidate.at(seconds(0, 4), OPTIONS, written, bursts, once)
    within = Candidate.at(seconds(0, 4), OPTIONS, twice, bursts)

    assert first.text_gap is None
    assert again.text_gap == (0, 0.0)
    assert within.text_gap == (1, 0.0)


@pytest.mark.parametrize(
    ("before", "with_context", "without_context", "again"),
    [
        (" ask what you can", " do for your country.", " can do for your country.", True),
        (" ask what you can", " can do for your country.", " can do it.", False),
        (" ask what you can.", " do it.", " Can do it.", False),
        (" I think that", " it is so.", " what is so.", False),
        ("", " it is so.", " it is so.", False),
        (" ask what you can", "", " can do it.", False),
    ],
)
def test_the_word_that_a_chunk_broke_off_with_is_not_written_twice(
    before: str, with_context: str, without_context: str, again: bool
) -> None:
    both = ((with_context, replace(OPTIONS, context=(1, 2))), (without_context, OPTIONS))
    chunk = seconds(9, 11)
    candidates = [
        Candidate.at(chunk, options, decoding(segment(text, 0, 2), heard_s=2.0), [chunk])
        for text, options in both
    ]

    assert repeats_last_word([segment(before, 0, 9)], *candidates) == again


def test_of_failing_texts_the_most_probable_is_kept_and_a_loop_last() -> None:
    passes = made(avg_logprob=-0.9)
    loops = made(avg_logprob=-0.1, compression_ratio=9.0, fails_thresholds=True)
    unsure = made(avg_logprob=-1.2, fails_thresholds=True)
    unsurer = made(avg_logprob=-1.5, fails_thresholds=True)

    assert more_probable(loops, unsure) is unsure
    assert more_probable(unsure, unsurer) is unsure
    assert more_probable(unsure, passes) is passes
