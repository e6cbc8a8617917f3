"""Finding speech and cutting it: nothing said is lost, no chunk is too long, options are obeyed."""

from __future__ import annotations

import random
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import missing
from numpy.typing import NDArray
from sounds import make_sound

from shared.catalogue import MODELS
from shared.errors import JobCancelled
from shared.request import TranscriptionRequest
from tools.demo_model.clips import draw_utterances
from worker.audio import SAMPLE_RATE_HZ, AudioSource, Span
from worker.speech import (
    MAX_CHUNK_S,
    MAX_PAUSE_S,
    Speech,
    SpeechOptions,
    cut_chunks,
    find_speech,
    look_for_speech,
)
from worker.voice_activity import WINDOW, VoiceActivity

PAUSE_S = 1.5


class Spoken:
    """Twelve sentences with silence around each, and where they are."""

    def __init__(self, path: Path) -> None:
        pause = np.zeros(round(PAUSE_S * SAMPLE_RATE_HZ), np.int16)
        pieces, self.spans, at = [], [], 0
        for said in draw_utterances(12, seed=41):
            self.spans.append(Span(at + len(pause), at + len(pause) + len(said.waveform)))
            at = self.spans[-1].end
            pieces += [pause, said.waveform]
        self.audio = source(path, np.concatenate([*pieces, pause]))

    @cache  # noqa: B019 - it lives as long as the module's tests
    def look(self, chunk_s: float = MAX_CHUNK_S, **asked: Any) -> Speech:
        """What is found for a request."""
        options = SpeechOptions.of(TranscriptionRequest(**asked), chunk_s)
        return look_for_speech(self.audio, options)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Spoken:
    return Spoken(tmp_path_factory.mktemp("spoken") / "audio.pcm")


@pytest.fixture(params=["silero", "pyannote"])
def method(request: pytest.FixtureRequest) -> str:
    if request.param == "pyannote" and find_spec("whisperx") is None:
        missing("whisperx is not installed")
    return str(request.param)


def source(path: Path, samples: NDArray[np.int16]) -> AudioSource:
    samples.tofile(path)
    return AudioSource(path, len(samples))


def activity_of(levels: list[float]) -> VoiceActivity:
    return VoiceActivity(np.array(levels, np.float32), first=0, step=WINDOW)


def shared_samples(spans: tuple[Span, ...] | list[Span], span: Span) -> int:
    return sum(max(0, min(s.end, span.end) - max(s.start, span.start)) for s in spans)


def test_every_utterance_is_found_and_most_of_the_pauses_is_not(
    spoken: Spoken, method: str
) -> None:
    found = spoken.look(1.0, vad_method=method)

    for span in spoken.spans:
        assert shared_samples(found.chunks, span) > 0.95 * (span.end - span.start)
    said_s = sum(span.duration_s for span in spoken.spans)
    assert said_s < found.duration_s < said_s + 0.6 * PAUSE_S * len(spoken.spans)


def test_everything_is_transcribed_without_vad(tmp_path: Path) -> None:
    audio = source(tmp_path / "a.pcm", make_sound("chords", 70, seed=0))

    none = look_for_speech(audio, SpeechOptions.of(TranscriptionRequest(), 30))
    all_of_it = look_for_speech(audio, SpeechOptions.of(TranscriptionRequest(vad=False), 30))

    assert none == Speech((), 0.0)
    assert all_of_it.duration_s == 70
    ends = [chunk.end for chunk in all_of_it.chunks]
    assert [chunk.start for chunk in all_of_it.chunks] == [0, *ends[:-1]]
    assert ends[-1] == audio.n_samples


def test_without_vad_it_is_cut_in_pauses(spoken: Spoken) -> None:
    found = spoken.look(10.0, vad=False)

    cuts = [chunk.end for chunk in found.chunks[:-1]]
    assert len(cuts) == 5
    assert [cut for cut in cuts if any(s.start < cut < s.end for s in spoken.spans)] == []


def test_the_model_asked_for_finds_the_speech(tmp_path: Path, method: str) -> None:
    # pyannote's takes a melody for a voice, silero's does not.
    audio = source(tmp_path / "a.pcm", make_sound("melody", 20, seed=1))

    options = SpeechOptions.of(TranscriptionRequest(vad_method=method), 30)

    assert (look_for_speech(audio, options).duration_s > 5) == (method == "pyannote")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("vad_onset", 0.995),
        ("speech_pad_ms", 0),
        ("min_speech_duration_ms", 1_800),
    ],
)
def test_less_counts_as_speech_with(spoken: Spoken, method: str, option: str, value: float) -> None:
    plain = spoken.look(vad_method=method)
    asked = spoken.look(vad_method=method, **{option: value})

    assert asked.duration_s < plain.duration_s - 1.5


@pytest.mark.parametrize(
    ("option", "value"),
    [("vad_offset", 0.0), ("min_silence_duration_ms", 2_000), ("speech_pad_ms", 400)],
)
def test_more_counts_as_speech_with(spoken: Spoken, method: str, option: str, value: float) -> None:
    plain = spoken.look(vad_method=method)
    asked = spoken.look(vad_method=method, **{option: value})

    assert asked.duration_s > plain.duration_s + 1.5


def test_a_lower_onset_finds_what_is_doubtful(tmp_path: Path) -> None:
    audio = source(tmp_path / "a.pcm", make_sound("melody", 20, seed=1))

    [plain, asked] = [
        look_for_speech(audio, SpeechOptions.of(TranscriptionRequest(vad_onset=onset), 30))
        for onset in (None, 0.2)
    ]

    assert asked.duration_s > plain.duration_s + 1


def test_thresholds_left_out_are_those_of_the_method() -> None:
    silero, pyannote = SpeechOptions(), SpeechOptions(method="pyannote")

    assert (silero.thresholds, pyannote.thresholds) == ((0.5, 0.35), (0.5, 0.363))
    assert SpeechOptions(threshold=0.1).thresholds == (0.1, 0.01)
    assert SpeechOptions(threshold=0.8, end_threshold=0.0).thresholds == (0.8, 0.0)


@pytest.mark.parametrize("has_vad", [True, False])
def test_no_chunk_is_longer_than_the_model_takes_or_the_caller_wants(
    spoken: Spoken, has_vad: bool
) -> None:
    demo_s = MODELS["demo"].chunk_s
    of_model = spoken.look(demo_s, vad=has_vad).chunks
    shorter = spoken.look(demo_s, vad=has_vad, chunk_size=3).chunks
    longer = spoken.look(demo_s, vad=has_vad, chunk_size=20).chunks

    assert demo_s / 2 < max(chunk.duration_s for chunk in of_model) <= demo_s
    assert 1.5 < max(chunk.duration_s for chunk in shorter) <= 3
    assert demo_s < max(chunk.duration_s for chunk in longer) <= 20


@pytest.mark.parametrize("has_vad", [True, False])
def test_only_the_clips_are_heard_and_no_chunk_joins_two(spoken: Spoken, has_vad: bool) -> None:
    length_s = spoken.audio.duration_s
    times_s = (2.5, 9.25, 9.5, 16.0, length_s - 8, length_s + 5, length_s + 10)

    found = spoken.look(vad=has_vad, clip_timestamps=times_s)

    clips = [(2.5, 9.25), (9.5, 16.0), (length_s - 8, length_s)]
    inside = [
        [i for i, (start, end) in enumerate(clips) if start <= at.start / 16_000 < end]
        for at in found.chunks
    ]
    assert inside == [[0], [1], [2]]
    for chunk, [i] in zip(found.chunks, inside, strict=True):
        assert chunk.end / SAMPLE_RATE_HZ <= clips[i][1] + 1e-4
    wanted_s = sum(end - start for start, end in clips)
    if has_vad:
        assert 0.4 * wanted_s < found.duration_s < wanted_s
    else:
        assert found.duration_s == pytest.approx(wanted_s, abs=0.001)


def test_the_last_clip_may_go_on_to_the_end(spoken: Spoken) -> None:
    found = spoken.look(vad=False, clip_timestamps=(10.0, 12.0, 40.0))

    assert found.chunks[0] == Span(160_000, 192_000)
    assert found.chunks[1].start == 640_000
    assert found.chunks[-1].end == spoken.audio.n_samples


def test_a_clip_beyond_the_end_holds_nothing(spoken: Spoken) -> None:
    assert spoken.look(vad=False, clip_timestamps=(500.0, 510.0)) == Speech((), 0.0)


def test_the_fraction_done_rises_to_one_over_all_clips(spoken: Spoken) -> None:
    noted: list[float] = []
    options = SpeechOptions(clips=(0.0, 10.0, 20.0, 30.0))

    look_for_speech(spoken.audio, options, noted.append)

    assert noted == pytest.approx([0.5, 1.0])


def test_who_notes_may_stop_the_search(spoken: Spoken, method: str) -> None:
    def cancel(fraction: float) -> None:
        raise JobCancelled("the caller has gone")

    options = SpeechOptions.of(TranscriptionRequest(vad_method=method), 30)

    with pytest.raises(JobCancelled):
        look_for_speech(spoken.audio, options, cancel)


@pytest.mark.parametrize("seed", range(20))
def test_chunks_hold_all_speech_once_and_are_short_enough(seed: int) -> None:
    draw = random.Random(seed)
    levels: list[float] = []
    while len(levels) < 8_000:
        level = draw.choice([0.02, 0.95])
        levels += [level + draw.uniform(-0.02, 0.02) for _ in range(draw.randint(3, 1500))]
    n_samples = len(levels) * WINDOW - draw.randint(0, WINDOW - 1)
    longest_s = draw.choice([1.0, 8.0, MAX_CHUNK_S])

    spans = find_speech(activity_of(levels), Span(0, n_samples))
    chunks = cut_chunks(spans, activity_of(levels), longest_s)

    assert all(a.end <= b.start for a, b in zip(spans, spans[1:], strict=False))
    assert all(a.end <= b.start for a, b in zip(chunks, chunks[1:], strict=False))
    assert all(0 < chunk.duration_s <= longest_s for chunk in chunks)
    assert chunks[0].start >= 0 and chunks[-1].end <= n_samples
    covered = np.zeros(n_samples, bool)
    for chunk in chunks:
        covered[chunk.start : chunk.end] = True
    assert all(covered[span.start : span.end].all() for span in spans)


def test_speech_without_a_pause_is_cut_where_it_is_quietest() -> None:
    levels = [0.9] * 3000
    levels[850] = 0.6

    chunks = cut_chunks([Span(0, 3000 * WINDOW)], activity_of(levels))

    assert chunks[0] == Span(0, 850 * WINDOW + WINDOW // 2)
    assert chunks[1].start == chunks[0].end


@pytest.mark.parametrize("length_s", [30.1, 31.0, 33.0, 45.0, 59.9, 60.1, 61.0])
def test_no_syllable_is_left_over_for_a_chunk_of_its_own(length_s: float) -> None:
    end = round(length_s * SAMPLE_RATE_HZ)

    chunks = cut_chunks([Span(0, end)], activity_of([0.9] * (end // WINDOW + 1)))

    assert chunks[-1].end == end
    assert all(4 < chunk.duration_s <= MAX_CHUNK_S for chunk in chunks)


def test_short_pauses_lie_within_chunks_and_long_ones_between_them() -> None:
    second = SAMPLE_RATE_HZ
    pause = int(MAX_PAUSE_S * second)
    spans = [
        Span(0, second),
        Span(second + pause, 2 * second + pause),
        Span(3 * second + 2 * pause, 4 * second + 2 * pause),
    ]

    chunks = cut_chunks(spans, activity_of([0.9] * 1000))

    assert chunks == [Span(0, 2 * second + pause), spans[2]]
