"""When segments are said: as Whisper tells it, corrected by where a voice is heard."""

from __future__ import annotations

import pytest
from decodings import seconds, segment

from shared.transcript import Segment, Word
from worker.decoding.segment_times import is_near_voice, place_segments

CHUNK = seconds(100, 130)
VOICED = [seconds(90, 99), seconds(101.5, 104), seconds(106, 110), seconds(111, 140)]


def times(*segments: tuple[float, float]) -> list[tuple[float, float]]:
    said = [segment("words", start, end) for start, end in segments]
    return [(s.start, s.end) for s in place_segments(said, CHUNK, VOICED)]


@pytest.mark.parametrize(
    ("told", "placed"),
    [
        pytest.param((0.0, 4.0), (101.5, 104.0), id="begins in the pause before"),
        pytest.param((1.8, 4.0), (101.5, 104.0), id="begins a little late"),
        pytest.param((2.5, 4.0), (102.5, 104.0), id="begins within the sentence"),
        pytest.param((1.5, 5.5), (101.5, 104.0), id="ends in the pause after"),
        pytest.param((1.5, 9.0), (101.5, 109.0), id="ends within a sentence"),
        pytest.param((4.5, 5.5), (104.5, 105.5), id="nobody is heard"),
        pytest.param((12.0, 45.0), (112.0, 130.0), id="ends with the chunk"),
    ],
)
def test_a_segment_begins_and_ends_where_a_voice_does(
    told: tuple[float, float], placed: tuple[float, float]
) -> None:
    assert times(told) == [placed]


def test_no_segment_begins_before_the_one_before_it_ends() -> None:
    assert times((1.6, 2.0), (2.0, 4.0), (4.0, 10.0)) == [
        (101.5, 102.0), (102.0, 104.0), (106.0, 110.0),
    ]  # fmt: skip


def test_a_text_that_begins_and_ends_at_one_time_lasts_a_moment() -> None:
    told = segment("and", 12.0, 20.0), segment("so", 20.0, 20.0), segment("on", 30.0, 30.0)

    placed = place_segments(told, CHUNK, ())

    assert [(s.start, s.end) for s in placed] == [(112.0, 120.0), (120.0, 120.1), (129.9, 130.0)]


def with_words(*times: tuple[float, float]) -> Segment:
    words = tuple(Word(word=" so", start=a, end=b, probability=0.9) for a, b in times)
    told = segment(" so" * len(times), times[0][0], times[-1][1])
    return told.model_copy(update={"words": words})


@pytest.mark.parametrize(
    ("told", "placed"),
    [
        pytest.param((0.0, 1.9), (101.5, 101.9), id="begins in the pause before"),
        pytest.param((1.8, 2.0), (101.8, 102.0), id="within the voice"),
        pytest.param((3.7, 5.5), (103.7, 104.0), id="ends in the pause after"),
        pytest.param((1.0, 1.53), (101.5, 101.53), id="begins long before the voice"),
        pytest.param((4.5, 5.2), (104.5, 105.2), id="nobody is heard"),
    ],
)
def test_no_word_begins_or_ends_in_a_pause(
    told: tuple[float, float], placed: tuple[float, float]
) -> None:
    [found] = place_segments([with_words(told)], CHUNK, VOICED)

    assert found.words is not None
    assert [(word.start, word.end) for word in found.words] == [placed]


def test_a_segment_with_words_begins_and_ends_with_them() -> None:
    said = with_words((0.7, 1.9), (1.9, 2.4), (2.4, 5.0))

    [placed] = place_segments([said], CHUNK, VOICED)

    assert placed.words is not None
    times = [(word.start, word.end) for word in placed.words]
    assert times == [(101.5, 101.9), (101.9, 102.4), (102.4, 104.0)]
    assert (placed.start, placed.end, placed.seek) == (101.5, 104.0, 10_000)


WITH_MUSIC = [seconds(100, 130)]
"""A voice is heard throughout: what plays between the sentences is taken for one."""


@pytest.mark.parametrize(
    ("told", "words", "placed"),
    [
        pytest.param((3.4, 5.0), (0.5, 3.6), (103.3, 103.6), id="the model's own start"),
        pytest.param((0.5, 5.0), (0.5, 3.6), (102.8, 103.6), id="or what a word takes"),
        pytest.param((0.5, 5.0), (0.5, 1.1), (100.5, 101.1), id="as words are"),
    ],
)
def test_a_first_word_lasts_as_long_as_words_do(
    told: tuple[float, float], words: tuple[float, float], placed: tuple[float, float]
) -> None:
    said = with_words(words, (3.6, 3.9), (3.9, 4.2), (4.2, 4.5))
    said = said.model_copy(update={"start": told[0], "end": told[1]})

    [found] = place_segments([said], CHUNK, WITH_MUSIC)

    assert found.words and (found.words[0].start, found.words[0].end) == placed
    assert found.start == placed[0]


def test_a_last_word_lasts_as_long_as_words_do() -> None:
    said = with_words((1.0, 1.3), (1.3, 1.6), (1.6, 6.0))

    [to_the_end] = place_segments([said], CHUNK, WITH_MUSIC)
    [told] = place_segments([said.model_copy(update={"end": 2.1})], CHUNK, WITH_MUSIC)

    assert (to_the_end.end, told.end) == (102.4, 102.1)


def test_no_word_is_of_no_length() -> None:
    said = with_words((1.6, 1.9), (1.9, 1.9), (1.9, 1.9), (1.9, 2.2)), with_words((30.0, 30.0))

    placed = place_segments(said, CHUNK, VOICED)

    words = [word for segment in placed for word in segment.words or ()]
    assert [(w.start, w.end) for w in words] == [
        (101.6, 101.9), (101.9, 101.92), (101.92, 101.94), (101.94, 102.2), (129.98, 130.0),
    ]  # fmt: skip
    assert (placed[1].start, placed[1].end) == (129.98, 130.0)


def test_of_two_segments_that_meet_the_first_ends_where_its_voice_does() -> None:
    """As Whisper tells it: each sentence until the next one, which begins a little late."""
    assert times((1.5, 6.3), (6.3, 12.0)) == [(101.5, 104.0), (106.0, 112.0)]
    assert times((1.5, 6.3)) == [(101.5, 106.3)], "what is near to its end may be its own"


@pytest.mark.parametrize(("start", "heard"), [(104.5, True), (99.5, True), (142.0, False)])
def test_a_segment_is_heard_near_a_voice(start: float, heard: bool) -> None:
    assert is_near_voice(segment("words", start, start + 0.5), VOICED) == heard
