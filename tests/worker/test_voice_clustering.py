"""How many voices there are, and whose voice is heard in each moment: on made-up embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from shared.errors import JobCancelled
from worker.diarization.clustering import Thresholds, Windows, find_voices, find_windows
from worker.diarization.resegmentation import best_path
from worker.diarization.timeline import (
    CHUNK_STEP,
    Timeline,
    frame_at,
    n_chunks,
    seconds_at,
    spans_of,
)

N_FRAMES = 589


def voice(*, alike: float, number: int) -> np.ndarray:
    """A voice whose likeness to that of number 0 is `alike`."""
    found = np.zeros(192, np.float32)
    found[0], found[number] = alike, np.sqrt(1 - alike**2)
    return found


def windows(labels: list[int]) -> Windows:
    """As many windows, all in one chunk, in which each has a voice of that number."""
    spans = np.array([(15 * i, 15 * i + 89) for i in range(len(labels))])
    return Windows(spans, np.array([labels]), 0.25)


def spoken(*voices: np.ndarray, times: int) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, 0.02, (len(voices) * times, 192))
    prints = np.repeat(voices, times, axis=0) + noise
    return (prints / np.linalg.norm(prints, axis=1, keepdims=True)).astype(np.float32)


FIRST = voice(alike=1.0, number=1)


def test_voices_that_are_unlike_are_two() -> None:
    prints = spoken(FIRST, voice(alike=0.2, number=1), times=12)

    assert len(find_voices(prints, windows([0] * 24), Thresholds())) == 2


@pytest.mark.parametrize(("second", "n_voices"), [(0, 1), (1, 2)])
def test_what_was_heard_apart_in_one_chunk_has_to_be_more_alike(second: int, n_voices: int) -> None:
    prints = spoken(FIRST, voice(alike=0.58, number=1), times=12)
    prints[12:] = spoken(voice(alike=0.48, number=1), times=12)  # not surely the same

    found = find_voices(prints, windows([0] * 12 + [second] * 12), Thresholds())

    assert len(found) == n_voices


def test_a_moment_that_is_like_others_is_no_voice_of_its_own() -> None:
    prints = np.concatenate([spoken(FIRST, times=20), spoken(voice(alike=0.4, number=1), times=2)])

    assert len(find_voices(prints, windows([0] * 20 + [1] * 2), Thresholds())) == 1


def test_a_moment_that_is_like_nobody_is_a_voice() -> None:
    prints = np.concatenate([spoken(FIRST, times=20), spoken(voice(alike=0.1, number=1), times=2)])

    assert len(find_voices(prints, windows([0] * 20 + [1] * 2), Thresholds())) == 2


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_as_many_voices_are_found_as_are_asked_for(count: int) -> None:
    prints = spoken(FIRST, voice(alike=0.2, number=1), voice(alike=0.1, number=2), times=12)

    found = find_voices(prints, windows([0] * 36), Thresholds(), (count, count))

    assert len(found) == count


def test_a_caller_may_say_how_far_voices_of_one_speaker_lie_apart() -> None:
    prints = spoken(FIRST, voice(alike=0.3, number=1), times=12)

    def n_voices(distance: float) -> int:
        return len(find_voices(prints, windows([0] * 24), Thresholds().far_apart(distance)))

    assert (n_voices(0.55), n_voices(0.9)) == (2, 1)


def test_clustering_ends_where_it_is_told_to() -> None:
    def report(fraction: float) -> None:
        raise JobCancelled("enough")

    with pytest.raises(JobCancelled):
        find_voices(spoken(FIRST, times=9), windows([0] * 9), Thresholds(), report=report)


def test_windows_hold_one_voice() -> None:
    """Ten seconds: one speaks for four, another from there to the end."""
    voices = np.zeros((1, N_FRAMES, 3), bool)
    change = frame_at(4.0)
    voices[0, :change, 0] = voices[0, change:, 1] = True

    found = find_windows(Timeline.of(voices, 160_000), Thresholds())

    assert len(found.spans) > 20
    assert not [s for s in found.spans if s[0] < change - 5 and s[1] > change + 5]
    assert set(found.local[0]) == {0, 1}


def test_what_is_said_after_the_end_is_nobodys() -> None:
    """A chunk is longer than the recording: what the network hears in the padding is wrong."""
    timeline = Timeline.of(np.ones((1, N_FRAMES, 3), bool), 32_000)

    turns = spans_of(timeline.counts[:, None] > 0, 2.0)

    assert [(n, round(start, 2), round(end, 1)) for n, start, end in turns] == [(0, 0.02, 2.0)]


@pytest.mark.parametrize(
    ("n_samples", "expected"), [(1, 1), (160_000, 1), (160_001, 2), (160_000 + CHUNK_STEP, 2)]
)
def test_the_last_chunk_reaches_the_end(n_samples: int, expected: int) -> None:
    assert n_chunks(n_samples) == expected


def test_a_frame_is_found_again_by_its_time() -> None:
    assert [frame_at(float(seconds_at(n)) + 0.001) for n in (0, 7, 1234)] == [0, 7, 1234]


def test_a_short_doubt_changes_no_speaker() -> None:
    evidence = np.tile([0.6, 0.1], (40, 1))
    evidence[20:22] = [0.1, 0.6]

    assert best_path(evidence, np.full(40, 2.0)).tolist() == [0] * 40


def test_changing_is_cheap_where_a_voice_begins() -> None:
    evidence = np.tile([0.6, 0.1], (40, 1))
    evidence[20:22] = [0.1, 0.6]
    changing = np.full(40, 2.0)
    changing[[20, 22]] = 0.1

    assert best_path(evidence, changing).tolist() == [0] * 20 + [1] * 2 + [0] * 18
