"""Long pauses are not heard, and times are those of the recording all the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from decodings import decoding, seconds, segment

from shared.transcript import Word
from worker.audio.source import AudioSource, Span
from worker.decoding.lanes import next_chunk
from worker.decoding.options import LaneOptions
from worker.decoding.pauses import chunk_end, long_pauses, restore_times
from worker.engines.base import DecodeOptions

CHUNK = seconds(10, 50)
SKIPPED = (seconds(2, 4), seconds(15, 20), seconds(30, 35), seconds(60, 70))


def test_of_long_pauses_half_a_second_is_kept_and_short_ones_whole() -> None:
    spans = [seconds(0, 5), seconds(5.5, 10), seconds(12, 20)]

    assert long_pauses(spans) == (seconds(10.25, 11.75),)


def test_what_is_left_out_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "audio.pcm"
    np.arange(1000, dtype="<i2").tofile(path)
    audio = AudioSource(path, 1000, (Span(100, 200), Span(300, 400), Span(900, 950)))

    def read(start: int, end: int) -> list[int]:
        return [round(float(x) * 32768) for x in audio.read(start, end)]

    assert read(90, 310) == [*range(90, 100), *range(200, 300)]
    assert read(150, 205) == [*range(200, 205)]
    assert read(120, 180) == []
    assert read(880, 2000) == [*range(880, 900), *range(950, 1000)]
    assert read(500, 503) == [500, 501, 502]


def test_a_chunk_lasts_as_much_longer_as_is_left_out_of_it(tmp_path: Path) -> None:
    path = tmp_path / "audio.pcm"
    np.zeros(80 * 16_000, dtype="<i2").tofile(path)
    lane = seconds(0, 80)
    speech = [seconds(10, 15), seconds(20, 30), seconds(35, 60)]

    chunk = next_chunk(lane, speech, 160_000, LaneOptions(DecodeOptions("en")), SKIPPED)

    assert chunk == CHUNK
    assert len(AudioSource(path, 80 * 16_000, SKIPPED).read(*CHUNK)) == 30 * 16_000
    assert chunk_end(160_000, 5 * 16_000, SKIPPED) == 15 * 16_000


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        pytest.param((0.0, 4.0), (0.0, 4.0), id="before a pause"),
        pytest.param((3.0, 5.0), (3.0, 5.0), id="ends where it begins"),
        pytest.param((5.0, 6.0), (10.0, 11.0), id="begins after it"),
        pytest.param((4.0, 6.0), (4.0, 11.0), id="on both sides"),
        pytest.param((16.0, 30.0), (26.0, 40.0), id="after two"),
    ],
)
def test_times_are_those_of_the_recording(
    heard: tuple[float, float], said: tuple[float, float]
) -> None:
    word = Word(word=" so", start=heard[0], end=heard[1], probability=0.9)
    told = segment(" so", *heard).model_copy(update={"words": (word,)})

    found = restore_times(decoding(told, heard_s=heard[1]), CHUNK, SKIPPED)

    [placed] = found.segments
    assert placed.words is not None
    assert (placed.start, placed.end, found.heard_s) == (*said, said[1])
    assert (placed.words[0].start, placed.words[0].end) == said


def test_a_chunk_without_a_long_pause_is_left_as_it_is() -> None:
    told = decoding(segment(" so", 0.0, 1.0))

    assert restore_times(told, seconds(40, 50), SKIPPED) is told
