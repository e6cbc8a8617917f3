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

from models.training.demo_model.clips import draw_utterances
from shared.errors import JobCancelled
from shared.request import TranscriptionRequest
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource, Span
from worker.speech.detection import Speech, SpeechOptions, cut_lanes, detect_speech, speech_spans
from worker.speech.voice_activity import WINDOW, VoiceActivity

pytestmark = pytest.mark.speech

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
    def look(self, n_lanes: int = 1, **asked: Any) -> Speech:
        """What is found for a request."""
        options = SpeechOptions.of(TranscriptionRequest(**asked), n_lanes)
        return detect_speech(self.audio, options)


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


def shared_samples(spans: tuple[Span, ...] | list[Span], span: Span) -> int:
    return sum(max(0, min(s.end, span.end) - max(s.start, span.start)) for s in spans)


def test_every_utterance_is_found_and_most_of_the_pauses_is_not(
    spoken: Spoken, method: str
) -> None:
    found = spoken.look(vad_method=method)

    for span in spoken.spans:
        assert shared_samples(found.spans, span) > 0.95 * (span.end - span.start)
        assert shared_samples(found.voiced, span) > 0.8 * (span.end - span.start)
    said_s = sum(span.duration_s for span in spoken.spans)
    assert said_s < found.duration_s < said_s + 0.6 * PAUSE_S * len(spoken.spans)


def test_everything_is_transcribed_without_vad(tmp_path: Path) -> None:
    audio = source(tmp_path / "a.pcm", make_sound("chords", 70, seed=0))

    none = detect_speech(audio, SpeechOptions.of(TranscriptionRequest()))
    all_of_it = detect_speech(audio, SpeechOptions.of(TranscriptionRequest(vad=False)))

    whole = (Span(0, audio.n_samples),)
    assert (none.spans, none.voiced, none.sounds) == ((), (), whole)
    assert all_of_it == Speech(whole, whole, (), sounds=whole)
    assert all_of_it.duration_s == 70


def test_without_vad_a_voice_is_still_heard(spoken: Spoken) -> None:
    with_vad, without = spoken.look(), spoken.look(vad=False)

    assert without.voiced == with_vad.voiced
    assert without.spans == without.lanes == (Span(0, spoken.audio.n_samples),)


def test_the_model_asked_for_finds_the_speech(tmp_path: Path, method: str) -> None:
    # pyannote's takes a melody for a voice, silero's does not.
    audio = source(tmp_path / "a.pcm", make_sound("melody", 20, seed=1))

    options = SpeechOptions.of(TranscriptionRequest(vad_method=method))

    assert (detect_speech(audio, options).duration_s > 5) == (method == "pyannote")


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
        detect_speech(audio, SpeechOptions.of(TranscriptionRequest(vad_onset=onset)))
        for onset in (None, 0.2)
    ]

    assert asked.duration_s > plain.duration_s + 1


def test_thresholds_left_out_are_those_of_the_method() -> None:
    silero, pyannote = SpeechOptions(), SpeechOptions(method="pyannote")

    assert (silero.thresholds, pyannote.thresholds) == ((0.5, 0.35), (0.5, 0.363))
    assert SpeechOptions(threshold=0.1).thresholds == (0.1, 0.01)
    assert SpeechOptions(threshold=0.8, end_threshold=0.0).thresholds == (0.8, 0.0)


@pytest.mark.parametrize("has_vad", [True, False])
def test_only_the_clips_are_heard_and_no_lane_joins_two(spoken: Spoken, has_vad: bool) -> None:
    length_s = spoken.audio.duration_s
    times_s = (2.5, 9.25, 9.5, 16.0, length_s - 8, length_s + 5, length_s + 10)

    found = spoken.look(vad=has_vad, clip_timestamps=times_s)

    clips = [(2.5, 9.25), (9.5, 16.0), (length_s - 8, length_s)]
    inside = [
        [i for i, (start, end) in enumerate(clips) if start <= at.start / 16_000 < end]
        for at in found.lanes
    ]
    assert inside == [[0], [1], [2]]
    for lane, [i] in zip(found.lanes, inside, strict=True):
        assert lane.end / SAMPLE_RATE_HZ <= clips[i][1] + 1e-4
    assert shared_samples(found.lanes, Span(0, spoken.audio.n_samples)) >= sum(
        shared_samples(found.lanes, span) for span in found.spans
    )
    wanted_s = sum(end - start for start, end in clips)
    if has_vad:
        assert 0.4 * wanted_s < found.duration_s < wanted_s
    else:
        assert found.duration_s == pytest.approx(wanted_s, abs=0.001)


def test_the_last_clip_may_go_on_to_the_end(spoken: Spoken) -> None:
    found = spoken.look(vad=False, clip_timestamps=(10.0, 12.0, 40.0))

    assert found.lanes == (Span(160_000, 192_000), Span(640_000, spoken.audio.n_samples))


def test_a_clip_beyond_the_end_holds_nothing(spoken: Spoken) -> None:
    assert spoken.look(vad=False, clip_timestamps=(500.0, 510.0)) == Speech((), (), ())


def test_the_fraction_done_rises_to_one_over_all_clips(spoken: Spoken) -> None:
    noted: list[float] = []
    options = SpeechOptions(clips=(0.0, 10.0, 20.0, 30.0))

    detect_speech(spoken.audio, options, noted.append)

    # Two blocks of 8 s, the second one shorter, in each of two clips.
    assert noted == pytest.approx([0.4, 0.5, 0.9, 1.0])


def test_who_notes_may_stop_the_search(spoken: Spoken, method: str) -> None:
    def cancel(fraction: float) -> None:
        raise JobCancelled("the caller has gone")

    options = SpeechOptions.of(TranscriptionRequest(vad_method=method))

    with pytest.raises(JobCancelled):
        detect_speech(spoken.audio, options, cancel)


@pytest.mark.parametrize("seed", range(20))
def test_speech_is_found_in_order_and_within_its_part(seed: int) -> None:
    draw = random.Random(seed)
    levels: list[float] = []
    while len(levels) < 8_000:
        level = draw.choice([0.02, 0.95])
        levels += [level + draw.uniform(-0.02, 0.02) for _ in range(draw.randint(3, 1500))]
    part = Span(1_000, 1_000 + len(levels) * WINDOW - draw.randint(0, WINDOW - 1))

    spans = speech_spans(VoiceActivity(np.array(levels, np.float32), part.start, WINDOW), part)

    assert all(a.end < b.start for a, b in zip(spans, spans[1:], strict=False))
    assert spans[0].start >= part.start and spans[-1].end <= part.end
    loud = sum(level > 0.5 for level in levels)
    assert sum(span.end - span.start for span in spans) >= 0.9 * loud * WINDOW


def minutes_of_sentences(n_minutes: int) -> list[Span]:
    """Sentences of 4 s with a pause of 1 s after each, and of 2 s after each eleventh."""
    spans, at = [], 0
    while at < n_minutes * 60 * SAMPLE_RATE_HZ:
        spans.append(Span(at, at + 4 * SAMPLE_RATE_HZ))
        at += (6 if len(spans) % 11 == 0 else 5) * SAMPLE_RATE_HZ
    return spans


@pytest.mark.parametrize("n_lanes", [1, 2, 4, 16])
def test_lanes_are_of_about_one_length_and_cut_no_sentence(n_lanes: int) -> None:
    said = minutes_of_sentences(20)
    whole = Span(0, said[-1].end)

    lanes = cut_lanes(whole, said, n_lanes)

    assert len(lanes) == min(n_lanes, 10)
    assert [lane.start for lane in lanes] == [0, *(lane.end for lane in lanes[:-1])]
    assert lanes[-1].end == whole.end
    assert all(lane.duration_s > 0.5 * whole.duration_s / len(lanes) for lane in lanes)
    cuts = [lane.end for lane in lanes[:-1]]
    assert not [cut for cut in cuts if any(s.start <= cut <= s.end for s in said)]
    # Of the pauses near where a lane should end it is cut at a long one.
    assert all(any(cut - 16_000 in (s.end, s.end + 1) for s in said) for cut in cuts)


def test_a_short_recording_or_one_without_pauses_is_one_lane() -> None:
    short, long = minutes_of_sentences(2), Span(0, 600 * SAMPLE_RATE_HZ)

    assert len(cut_lanes(Span(0, short[-1].end), short, 8)) == 1
    assert cut_lanes(long, [long], 8) == [long]


def test_clips_share_the_places_of_the_device(spoken: Spoken) -> None:
    found = spoken.look(4, clip_timestamps=(0.0, 10.0, 20.0, 30.0))

    assert [lane.duration_s for lane in found.lanes] == [10.0, 10.0]
