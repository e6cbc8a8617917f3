"""Who speaks when: the demo pipeline on dialogs of voices it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from dialogs import THREE, TWO

from models.training.demo_diarization.dialogs import UNSEEN, draw_dialog, say
from models.training.demo_diarization.measure import TARGET, score, words_with_speakers
from shared.errors import JobCancelled
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource
from worker.diarization import DiarizationOptions, KnownSpeaker

pytestmark = pytest.mark.speech


@dataclass(frozen=True)
class WatchedSource(AudioSource):
    """Audio that remembers how many samples were read at a time."""

    reads: list[int] = field(default_factory=list, compare=False)

    def read(self, start: int, end: int) -> Any:
        self.reads.append(end - start)
        return super().read(start, end)


def alone(voice: Any, *texts: str) -> np.ndarray:
    return np.concatenate([say(voice, text).waveform for text in texts])


def test_unseen_voices_are_told_apart(diarizer, source, two, three):
    found = [diarizer.find_turns(source(dialog), DiarizationOptions()) for dialog in (two, three)]

    errors = score(zip((two, three), [f.turns for f in found], strict=True))
    assert errors.rate < TARGET, str(errors)
    assert errors.n_speakers == ((2, 2), (3, 3))


def test_speakers_are_numbered_as_they_appear(diarizer, source, three):
    found = diarizer.find_turns(source(three), DiarizationOptions())

    order = list(dict.fromkeys(turn.speaker for turn in found.turns))
    assert order == ["SPEAKER_00", "SPEAKER_01", "SPEAKER_02"]


def test_turns_lie_in_the_audio_in_time_order(diarizer, source, two):
    cut = source(two.waveform[: 11 * SAMPLE_RATE_HZ])

    found = diarizer.find_turns(cut, DiarizationOptions())

    starts = [turn.start for turn in found.turns]
    assert starts == sorted(starts)
    assert all(0 <= turn.start < turn.end <= cut.duration_s for turn in found.turns)


def test_people_may_talk_at_once_but_not_in_exclusive_turns(diarizer, source, three):
    found = diarizer.find_turns(source(three), DiarizationOptions())

    assert overlaps(three.turns) > 1
    assert overlaps(found.turns) == pytest.approx(overlaps(three.turns), abs=0.5)
    assert overlaps(found.exclusive_turns) == 0


@pytest.mark.parametrize("seed", [4, 7, 11])
def test_exclusive_turns_never_overlap(diarizer, source, seed):
    found = diarizer.find_turns(source(draw_dialog(seed, THREE, length_s=20)), DiarizationOptions())

    assert overlaps(found.exclusive_turns) == 0


def overlaps(turns: Any) -> float:
    """Seconds in which somebody begins before who came before ends."""
    pairs = zip(turns, turns[1:], strict=False)
    return sum(max(0.0, min(a.end, b.end) - b.start) for a, b in pairs)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_as_many_speakers_are_found_as_are_asked_for(diarizer, source, three, n):
    found = diarizer.find_turns(source(three), DiarizationOptions(num_speakers=n))

    assert len({turn.speaker for turn in found.turns}) == n


def test_bounds_on_the_number_of_speakers_are_kept(diarizer, source, three):
    few = diarizer.find_turns(source(three), DiarizationOptions(max_speakers=2))
    many = diarizer.find_turns(source(three), DiarizationOptions(min_speakers=4))

    assert len({turn.speaker for turn in few.turns}) == 2
    assert len({turn.speaker for turn in many.turns}) == 4


def test_embeddings_are_plain_numbers_for_each_speaker(diarizer, source, two):
    found = diarizer.find_turns(source(two), DiarizationOptions(wants_embeddings=True))

    assert set(found.embeddings) == {turn.speaker for turn in found.turns}
    assert {len(vector) for vector in found.embeddings.values()} == {64}
    assert {type(x) for vector in found.embeddings.values() for x in vector} == {float}


def test_embeddings_are_left_out_unless_asked_for(diarizer, source, two):
    assert diarizer.find_turns(source(two), DiarizationOptions()).embeddings == {}


@pytest.mark.parametrize("seconds", [0, 0.05, 3, 20])
def test_nobody_speaks_in_silence(diarizer, source, seconds):
    silence = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.int16)

    found = diarizer.find_turns(source(silence), DiarizationOptions(wants_embeddings=True))

    assert (found.turns, found.exclusive_turns, found.embeddings) == ((), (), {})


def test_progress_rises_to_one(diarizer, source, two):
    told: list[float] = []

    diarizer.find_turns(source(two), DiarizationOptions(), told.append)

    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) > 4


def test_audio_is_read_a_chunk_at_a_time(diarizer, source, two):
    written = source(np.tile(two.waveform, 3))
    watched = WatchedSource(written.path, written.n_samples)

    diarizer.find_turns(watched, DiarizationOptions())

    assert max(watched.reads) == 10 * SAMPLE_RATE_HZ


def test_of_many_embeddings_an_even_choice_is_clustered():
    from pyannote.core import SlidingWindow, SlidingWindowFeature

    from worker.diarization.pyannote_clustering import MOST_CLUSTERED, ThinnedAgglomerative

    n = 3 * MOST_CLUSTERED
    spoken = SlidingWindowFeature(np.ones((n, 10, 1), np.uint8), SlidingWindow(10, 1))
    embeddings = np.arange(n, dtype=float)[:, None, None]

    kept, chunks, _ = ThinnedAgglomerative().filter_embeddings(embeddings, spoken)

    assert len(kept) == MOST_CLUSTERED
    assert (chunks[0], chunks[-1]) == (0, n - 1)
    assert set(np.diff(chunks)) <= {2, 3, 4}
    assert np.array_equal(kept[:, 0], chunks)


def references(source: Any, *voices: Any) -> tuple[KnownSpeaker, ...]:
    texts = ("The contract is due on Thursday.", "I think Emma found the white car.")
    return tuple(KnownSpeaker(v.name, source(alone(v, *texts))) for v in voices)


def test_known_voices_go_by_their_names(diarizer, source, three):
    known = references(source, *reversed(THREE))

    found = diarizer.find_turns(
        source(three), DiarizationOptions(known_speakers=known, wants_embeddings=True)
    )

    assert {turn.speaker for turn in found.turns} == {voice.name for voice in THREE}
    assert set(found.embeddings) == {voice.name for voice in THREE}
    truth = {(t.speaker, round(t.start)) for t in three.turns}
    named = {(t.speaker, round(t.start)) for t in found.turns}
    assert len(truth & named) >= 0.8 * len(truth)


def test_unknown_voices_keep_their_numbers(diarizer, source, three):
    absent = UNSEEN[8]

    found = diarizer.find_turns(
        source(three), DiarizationOptions(known_speakers=references(source, THREE[1], absent))
    )

    speakers = {turn.speaker for turn in found.turns}
    assert THREE[1].name in speakers
    assert absent.name not in speakers
    assert len(speakers) == 3
    assert speakers - {THREE[1].name} < {"SPEAKER_00", "SPEAKER_01", "SPEAKER_02"}


def test_a_reference_in_which_nobody_speaks_is_warned_of(diarizer, source, two):
    known = (
        KnownSpeaker("Ann", source(np.zeros(3 * SAMPLE_RATE_HZ, np.int16))),
        KnownSpeaker("Bob", source(np.zeros(0, np.int16))),
        *references(source, TWO[0]),
    )

    found = diarizer.find_turns(source(two), DiarizationOptions(known_speakers=known))

    assert [warned.code for warned in found.warnings] == ["known_speaker_unusable"] * 2
    assert "'Ann'" in found.warnings[0].message
    assert TWO[0].name in {turn.speaker for turn in found.turns}


def test_words_at_their_true_times_get_the_right_speaker(diarizer, source, two, three):
    counted = [
        words_with_speakers(d, diarizer.find_turns(source(d), DiarizationOptions()))
        for d in (two, three)
    ]

    assert sum(right for right, _ in counted) >= 0.95 * sum(n for _, n in counted)


def test_clustering_tells_how_far_it_is(diarizer, source, two):
    told: list[float] = []

    diarizer.find_turns(source(two), DiarizationOptions(), told.append)

    assert len({fraction for fraction in told if 0.94 <= fraction < 1}) >= 3


def test_it_may_be_stopped_while_voices_are_sorted_and_works_on(diarizer, source, two):
    def stop(fraction: float) -> None:
        if fraction > 0.95:
            raise JobCancelled("the job was cancelled")

    before = diarizer.find_turns(source(two), DiarizationOptions())
    with pytest.raises(JobCancelled):
        diarizer.find_turns(source(two), DiarizationOptions(clustering_threshold=0.9), stop)

    assert diarizer.find_turns(source(two), DiarizationOptions()) == before


def test_a_reference_is_heard_to_its_end(diarizer, source, three):
    voice = THREE[1]
    said = alone(voice, "The contract is due on Thursday.", "I think Emma found the white car.")
    late = np.concatenate([np.zeros(12 * SAMPLE_RATE_HZ, np.int16), said])

    known = (KnownSpeaker(voice.name, source(late)),)
    found = diarizer.find_turns(source(three), DiarizationOptions(known_speakers=known))

    assert found.warnings == ()
    assert voice.name in {turn.speaker for turn in found.turns}


def test_every_recording_of_a_name_counts(diarizer, source, three):
    voice, other = THREE[0], UNSEEN[8]
    texts = ("The contract is due on Thursday.", "I think Emma found the white car.")
    known = [KnownSpeaker("Ann", source(alone(voice, text))) for text in texts]
    known += [KnownSpeaker("Bob", source(alone(other, text))) for text in texts]

    found = diarizer.find_turns(source(three), DiarizationOptions(known_speakers=tuple(known)))

    speakers = {turn.speaker for turn in found.turns}
    assert "Ann" in speakers and "Bob" not in speakers
    assert len(speakers) == 3
