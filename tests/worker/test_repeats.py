"""What is written again and again is kept where it was said as often, and cut where it was not."""

from __future__ import annotations

import pytest
from decodings import decoding, seconds, segment

from shared.transcript import Segment
from worker.audio.source import Span
from worker.decoding.repeats import restore_spoken_repeats
from worker.engines.base import DecodeOptions, Decoding

CHUNK = seconds(100, 130)
OPTIONS = DecodeOptions("en")
PHRASE = " what joy there is in living"


def rounds(*starts: float, length_s: float = 2.0, text: str = PHRASE) -> tuple[Segment, ...]:
    return tuple(segment(text, start, start + length_s) for start in starts)


def bursts(*starts: float, length_s: float = 1.7) -> list[Span]:
    return [seconds(100 + start, 100 + start + length_s) for start in starts]


def kept(uncut: tuple[Segment, ...], voiced: list[Span], skipped: list[Span] | None = None) -> int:
    given = decoding(uncut[0], compression_ratio=4.0, fails_thresholds=True, uncut=uncut)
    return len(restore_spoken_repeats(given, CHUNK, OPTIONS, voiced, skipped or []).segments)


def test_each_round_with_a_voice_of_its_own_was_said() -> None:
    assert kept(rounds(0, 2, 4, 6, 8), bursts(0.1, 2.1, 4.1, 6.2, 8.1)) == 5


@pytest.mark.parametrize(
    ("uncut", "voiced"),
    [
        pytest.param(rounds(0, 2, 4, 6, 8), bursts(0, length_s=10), id="one voice for all"),
        pytest.param(rounds(0, 2, 4, 6, 8), bursts(0.1, 2.1, 4.1), id="a voice for some"),
        pytest.param(rounds(0, 2, 4, 6), [], id="silence"),
        pytest.param(
            rounds(0, 5, 10, 15, length_s=5), bursts(0, 5, 10, 15, length_s=4.8),
            id="less text than is said",
        ),
        pytest.param(
            rounds(0, 1, 2, 3, length_s=1), bursts(0, 1, 2, 3, length_s=0.6),
            id="more text than can be said",
        ),
    ],
)  # fmt: skip
def test_a_loop_is_cut(uncut: tuple[Segment, ...], voiced: list[Span]) -> None:
    assert kept(uncut, voiced) == 1


def test_other_text_needs_no_voice_of_its_own() -> None:
    said = (*rounds(0, 2, 4, 6), segment(" and so on", 8, 8.4))

    assert kept(said, bursts(0, 2, 4, 6)) == 5


def test_rounds_are_looked_for_where_they_were_said_and_not_where_they_were_heard() -> None:
    """Of a pause of ten seconds the model hears none."""
    pause = [seconds(104, 114)]

    assert kept(rounds(0, 2, 4, 6), bursts(0, 2, 14, 16), pause) == 4


def test_what_was_said_is_no_loop_to_be_drawn_again() -> None:
    uncut = rounds(0, 2, 4, 6)
    given = decoding(uncut[0], compression_ratio=4.0, fails_thresholds=True, uncut=uncut)

    def look(options: DecodeOptions, avg_logprob: float) -> Decoding:
        unsure = decoding(
            uncut[0], compression_ratio=4.0, fails_thresholds=True, uncut=uncut,
            avg_logprob=avg_logprob,
        )  # fmt: skip
        return restore_spoken_repeats(unsure, CHUNK, options, bursts(0, 2, 4, 6), [])

    sure, unsure = look(OPTIONS, -0.1), look(OPTIONS, -1.5)
    cut = restore_spoken_repeats(given, CHUNK, OPTIONS, [], [])
    assert (sure.fails_thresholds, sure.compression_ratio) == (False, 1.0)
    assert unsure.fails_thresholds and cut.fails_thresholds and cut.compression_ratio == 4.0
