"""
Two things hold of every recording, with every option, in every format.

Every word, segment and cue lasts, lies within its recording, and comes in order. And every second
of speech has text, or a warning that says that it has none. Options are drawn in pairs, by seed:
a few for every run of the tests, all of them for `make test-properties`.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from format_readers import READERS, read_docx, read_rttm
from real_speech import silence, write_wav

from shared.formats import FORMATS, FormatOptions, render
from shared.request import TranscriptionRequest
from shared.settings import CHECKOUT
from shared.transcript import Segment, SpeakerTurn, Transcript
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import decode
from worker.diarization.assignment import assign_speakers
from worker.speech.detection import SpeechOptions, detect_speech

pytestmark = pytest.mark.speech

Hear = Callable[..., Transcript]

CLIPS = CHECKOUT.parent / "shared" / "speech"

OTHER: Mapping[str, Any] = {
    "multilingual": True,
    "task": "translate",
    "timestamps": False,
    "prompt": "Marianne, Elinor and Colonel Brandon.",
    "hotwords": "Dashwood",
    "condition_on_previous_text": False,
    "temperature": 0.4,
    "temperature_increment": 0.5,
    "beam_size": 1,
    "best_of": 2,
    "patience": 2.0,
    "length_penalty": 0.6,
    "repetition_penalty": 1.2,
    "no_repeat_ngram_size": 3,
    "suppress_tokens": (-1, 11, 13),
    "suppress_numerals": True,
    "compression_ratio_threshold": None,
    "logprob_threshold": -0.3,
    "no_speech_threshold": 0.05,
    "hallucination_silence_threshold": 0.5,
    "clip_timestamps": (0.7, 3.1),
    "vad": False,
    "vad_onset": 0.8,
    "vad_offset": 0.05,
    "min_speech_duration_ms": 700,
    "min_silence_duration_ms": 100,
    "speech_pad_ms": 0,
    "chunk_size": 4.0,
    "word_timestamps": True,
    "interpolate_method": "linear",
}
"""Another value than its own of each option that changes what is written, or when."""

ELSEWHERE = frozenset(
    {
        "model", "language", "align", "align_model", "return_char_alignments", "vad_method",
        "chinese", "diarize", "num_speakers", "min_speakers", "max_speakers", "diarize_model",
        "clustering_threshold", "speaker_embeddings", "speaker_names", "known_speaker_names",
        "known_speaker_references", "audio_track", "multichannel",
    }
)  # fmt: skip
"""Options that need other models than these tests have, or are drawn here in another way."""

FORMAT_OPTIONS: Mapping[str, Any] = {
    "max_line_width": 12,
    "max_line_count": 1,
    "max_words_per_line": 1,
    "highlight_words": True,
    "speakers": False,
    "segment_resolution": "sentence",
}


class Case(NamedTuple):
    """A recording of ../shared/speech, and how it is transcribed."""

    clip: str
    model: str
    options: Mapping[str, Any]

    def __str__(self) -> str:
        return "-".join([Path(self.clip).stem, self.model, *self.options])


def draw(seed: int, clips: list[str], n_cases: int) -> Iterator[Case]:
    """Cases with two options each; every option and every clip comes as often as any other."""
    drawn = random.Random(seed)
    left: dict[str, list[str]] = {"options": [], "clips": []}

    def next_of(name: str, values: list[str]) -> str:
        left[name] = left[name] or drawn.sample(values, len(values))
        return left[name].pop()

    for n in range(n_cases):
        names = {next_of("options", [*OTHER]), next_of("options", [*OTHER])}
        names |= {"word_timestamps"} if n % 2 else set()
        clip = next_of("clips", clips)
        is_english = not re.match(r"clips/(zh|simplicissimus)", clip)
        model = drawn.choice(["base", "tiny.en"]) if is_english else "base"
        yield Case(clip, model, {name: OTHER[name] for name in sorted(names)})


def all_clips() -> list[str]:
    """Every recording, by its path below ../shared/speech."""
    found = [path for path in CLIPS.glob("*/*") if path.suffix in (".wav", ".flac", ".mp3")]
    return sorted(str(path.relative_to(CLIPS)) for path in found)


SHORT = [f"clips/{name}" for name in (
    "LJ002-0020.wav", "austen_0930.wav", "cards_002.wav", "noise2.flac", "sb_spk1_snt4.wav",
    "zh_aishell.wav",
)]  # fmt: skip
FEW = list(draw(13, SHORT, 12))
ALL = [
    *(Case(clip, "base", {"word_timestamps": True}) for clip in all_clips()),
    *(Case(clip, "base", {}) for clip in all_clips()),
    *draw(14, all_clips() or SHORT, 60),
]


def test_every_option_is_drawn_or_said_not_to_be() -> None:
    assert OTHER.keys() | ELSEWHERE == TranscriptionRequest.model_fields.keys()
    assert not OTHER.keys() & ELSEWHERE
    assert FORMAT_OPTIONS.keys() == FormatOptions.model_fields.keys()
    plain = TranscriptionRequest()
    assert all(getattr(plain, name) != value for name, value in OTHER.items())


@pytest.mark.parametrize("case", FEW, ids=str)
def test_two_options_of_some(hear: Hear, speech_dir: Path, tmp_path: Path, case: Case) -> None:
    check(case, hear, speech_dir, tmp_path)


@pytest.mark.properties
@pytest.mark.parametrize("case", ALL, ids=str)
def test_two_options_of_all(hear: Hear, speech_dir: Path, tmp_path: Path, case: Case) -> None:
    check(case, hear, speech_dir, tmp_path)


def test_an_empty_text_comes_with_a_warning(hear: Hear, speech_dir: Path, tmp_path: Path) -> None:
    heard = hear(speech_dir / "clips" / "noise3.flac")

    [warned] = heard.warnings
    assert (heard.text, warned.code) == ("", "speech_without_text")
    assert warned.spans is not None
    assert sum(span.end - span.start for span in warned.spans) > 0.9 * heard.duration
    silent = write_wav(tmp_path / "silent.wav", [silence(5)])
    assert hear(silent).warnings == ()


def check(case: Case, hear: Hear, speech_dir: Path, tmp_path: Path) -> None:
    """Both properties, of what is heard with a pair of options and of what is written of it."""
    clip = speech_dir / case.clip
    options = {"align": False, **case.options}

    heard = hear(clip, case.model, **options)

    check_spans(heard)
    asked = SpeechOptions.of(TranscriptionRequest.model_validate(options))
    voiced = detect_speech(decode(clip, tmp_path / "a.pcm"), asked).voiced
    spans = [(v.start / SAMPLE_RATE_HZ, v.end / SAMPLE_RATE_HZ) for v in voiced]
    assert without_text_s(heard, spans) <= 1.01
    check_formats(heard)
    check_formats(with_speakers(heard))


def check_spans(heard: Transcript) -> None:
    """Segments, words and what is warned of: in order, within the recording, none of no length."""
    assert_in_order([(s.start, s.end) for s in heard.segments], 0.0, heard.duration)
    for segment in heard.segments:
        words = [(word.start, word.end) for word in segment.words or ()]
        assert_in_order(words, segment.start, segment.end)
    for warned in heard.warnings:
        spans = [(span.start, span.end) for span in warned.spans or ()]
        assert_in_order(spans, 0.0, heard.duration)


def without_text_s(heard: Transcript, voiced: list[tuple[float, float]]) -> float:
    """The longest run of speech without text, and without a warning over it, in seconds."""
    told = [(s.start, s.end) for s in heard.segments]
    told += [(s.start, s.end) for w in heard.warnings for s in w.spans or ()]
    longest = 0.0
    for start, end in voiced:
        run = 0
        for n in range(round(start * 100), round(end * 100)):
            is_told = any(since <= n / 100 <= until for since, until in told)
            run = 0 if is_told else run + 1
            longest = max(longest, run / 100)
    return longest


def with_speakers(heard: Transcript) -> Transcript:
    """The transcript of a talk in which somebody else speaks every 1.7 s, within words, too."""
    times = [1.7 * n for n in range(int(heard.duration / 1.7) + 1)] + [heard.duration]
    turns = tuple(
        SpeakerTurn(speaker=f"SPEAKER_0{n % 2}", start=start, end=end)
        for n, (start, end) in enumerate(pairwise(times))
    )
    segments: tuple[Segment, ...] = tuple(assign_speakers(heard.segments, turns))
    return heard.model_copy(update={"segments": segments, "turns": turns})


def check_formats(heard: Transcript) -> None:
    """Whatever is written, with each option and each pair of options that changes it."""
    for known in FORMATS.values():
        if known.name == "rttm" and not heard.turns:
            continue  # it tells of nothing but speakers
        names = sorted(known.options)
        for chosen in [*combinations(names, 2), *((name,) for name in names), ()]:
            options = FormatOptions(**{name: FORMAT_OPTIONS[name] for name in chosen})
            written = render(heard, known.name, options)
            try:
                check_written(known.name, written, heard.duration)
            except AssertionError as error:
                raise AssertionError(f"{known.name} with {chosen}: {error}") from error


def check_written(name: str, written: str | bytes, duration: float) -> None:
    """What somebody else's parser reads of it."""
    if name == "docx":
        starts = [start for start, _ in read_docx(written)]
        assert starts == sorted(starts) and all(0 <= start <= duration for start in starts)
    elif name == "rttm":
        turns = [(start, end) for start, end, _ in read_rttm(written)]
        assert all(0 <= start < end <= duration for start, end in turns)
        assert turns == sorted(turns)
    elif name not in ("json", "text"):
        told = READERS[name](written)
        assert_in_order([(start, end) for start, end, _ in told], 0.0, duration)
        if name in ("verbose_json", "whisper"):
            for segment in json.loads(written)["segments"]:
                words = [(word["start"], word["end"]) for word in segment.get("words", ())]
                assert_in_order(words, segment["start"], segment["end"])


def assert_in_order(spans: list[tuple[float, float]], earliest: float, latest: float) -> None:
    """Spans of some length, one after the other, between two times."""
    assert all(earliest <= start < end <= latest for start, end in spans), spans
    assert all(before[1] <= after[0] for before, after in pairwise(spans)), spans
