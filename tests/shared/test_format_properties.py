"""Whatever a transcript holds, every format can be read, loses no text and tells possible times."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from itertools import pairwise

import pytest
import webvtt
from format_readers import READERS, read_docx, read_srt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.formats import FormatOptions, render, tidy
from shared.formats.sentences import split_sentences
from shared.transcript import Segment, SpeakerTurn, Transcript, Word

quick = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

NASTY = (
    "-->", "--->", "<b>", "</i>", "&", "&amp;", "{\\an8}", "\\N", "1\n00:00:01,000", "NOTE",
    "\n", "\n\n", "\r\n \n", "\t", " ", "  ", "\0", "\x0b", "\x1b[0m", "\x1f", "\x85", "\u2028",
    "\ufeff", "\u200b", "\ufffe", "👩\u200d👧", "🇩🇪", "e\u0301", "word", "it's", "Dr. X.",
    "。", "，", "「你好」", "头发", "コーヒー", "สวัสดี", "한국어",
)  # fmt: skip
texts = st.lists(st.sampled_from(NASTY) | st.text(max_size=6), max_size=8).map("".join)
times = st.sampled_from([-1.0, 0.0, 0.4, 1.0, 2.5, 7.0, float("nan"), float("inf")]) | st.floats(
    -1.0, 12.0
)
names = st.sampled_from([None, "SPEAKER_00", "Ann & <b>", "李\n\0雷"])


@st.composite
def segments(draw):
    text = draw(texts)
    spelled = draw(st.sampled_from(["none", "words", "characters", "other"]))
    found = {
        "none": None,
        "words": re.findall(r"\s*\S+", text),
        "characters": list(text),
        "other": ["something", "else"],
    }[spelled]
    words = found and tuple(
        Word(word=word, start=draw(times), end=draw(times), probability=0.5) for word in found
    )
    return Segment(
        id=0,
        seek=0,
        start=draw(times),
        end=draw(times),
        text=text,
        tokens=(1,),
        temperature=0.0,
        avg_logprob=-0.25,
        compression_ratio=1.0,
        no_speech_prob=0.0,
        words=words,
        speaker=draw(names),
    )


@st.composite
def transcripts(draw):
    told = tuple(draw(st.lists(segments(), max_size=4)))
    turns = st.builds(SpeakerTurn, speaker=names.filter(bool), start=times, end=times)
    return Transcript(
        text=" ".join(segment.text for segment in told),
        task=draw(st.sampled_from(["transcribe", "translate"])),
        language=draw(st.sampled_from(["en", "zh", "ja", "th", "ko"])),
        language_probability=1.0,
        duration=draw(st.sampled_from([0.0, 5.0, 10.0004, 400_000.0])),
        duration_after_vad=0.0,
        segments=told,
        model="demo",
        model_revision="1",
        engine="faster_whisper",
        turns=draw(st.none() | st.lists(turns, max_size=3).map(tuple)),
    )


resolutions = st.sampled_from(["chunk", "sentence"])
limits = st.none() | st.integers(1, 30)
line_options = st.builds(
    FormatOptions,
    max_line_width=limits,
    max_line_count=st.none() | st.integers(1, 3),
    max_words_per_line=st.none() | st.integers(1, 5),
    highlight_words=st.booleans(),
    speakers=st.booleans(),
    segment_resolution=resolutions,
)


def letters(*texts, arrows=True):
    """What must not be lost: all but white space and what no file can hold."""
    kept = (c for text in texts for c in text if not c.isspace())
    kept = (
        c for c in kept if unicodedata.category(c) not in ("Cc", "Cs") and c not in "\ufffe\uffff"
    )
    return "".join(c for c in kept if arrows or c not in "->")


def is_possible(spans, duration):
    """Whether times are in order and within the audio, and nothing is of no length."""
    within = all(0 <= start <= end <= round(duration, 3) for start, end in spans)
    lasts = duration == 0 or all(start < end for start, end in spans)
    return within and lasts and all(a[1] <= b[0] for a, b in pairwise(spans))


def said(transcript):
    return [segment.text for segment in transcript.segments]


@quick
@given(transcripts(), line_options)
def test_srt_loses_nothing(transcript, options):
    cues = read_srt(render(transcript, "srt", options))

    assert is_possible([(start, end) for start, end, _ in cues], transcript.duration)
    assert all(letters(text) for _, _, text in cues)
    if not options.highlight_words and not options.speakers:
        told = [text for _, _, text in cues]
        assert letters(*told, arrows=False) == letters(*said(transcript), arrows=False)


@quick
@given(transcripts(), line_options)
def test_vtt_loses_nothing(transcript, options):
    written = render(transcript, "vtt", options)
    cues = list(webvtt.from_string(written))

    spans = [
        (cue.start_time.in_milliseconds() / 1000, cue.end_time.in_milliseconds() / 1000)
        for cue in cues
    ]
    assert written.count("-->") == len(cues)
    assert is_possible(spans, transcript.duration)
    assert all(letters(html.unescape(cue.text)) for cue in cues)
    if options.highlight_words:
        told = re.findall(r"<u>(.*?)</u>", written)
    else:
        told = [cue.text for cue in cues]
    assert letters(*map(html.unescape, told)) == letters(*said(transcript))


@quick
@given(transcripts(), st.integers(2, 30), st.none() | st.integers(1, 3))
def test_a_line_is_too_wide_only_for_a_single_word(transcript, width, count):
    options = FormatOptions(max_line_width=width, max_line_count=count)

    for cue in webvtt.from_string(render(transcript, "vtt", options)):
        lines = html.unescape(cue.text).split("\n")
        assert len(lines) <= (count or len(lines))
        for line in lines:
            wide = sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in line) > width
            assert not wide or not re.search(r"\s|[\u4e00-\u9fff]{2}", line)


@quick
@given(transcripts(), resolutions)
def test_a_table_loses_nothing(transcript, resolution):
    options = FormatOptions(speakers=False, segment_resolution=resolution)
    rows = READERS["tsv"](render(transcript, "tsv", options))

    assert is_possible([(start, end) for start, end, _ in rows], transcript.duration)
    assert letters(*(text for *_, text in rows)) == letters(*said(transcript))


@settings(quick, max_examples=20)
@given(transcripts(), resolutions)
def test_a_document_loses_nothing(transcript, resolution):
    options = FormatOptions(speakers=False, segment_resolution=resolution)
    told = read_docx(render(transcript, "docx", options))

    starts = [start for start, _ in told]
    assert starts == sorted(starts) and all(0 <= s <= transcript.duration for s in starts)
    assert letters(*(text for _, text in told)) == letters(*said(transcript))


@quick
@given(transcripts(), st.booleans())
def test_a_text_loses_nothing(transcript, speakers):
    written = render(transcript, "text", FormatOptions(speakers=speakers))

    if not speakers:
        assert letters(written) == letters(transcript.text)
    for text in said(transcript):
        assert letters(text) in letters(written)


@quick
@given(transcripts(), resolutions)
@pytest.mark.parametrize("name", ["verbose_json", "whisper"])
def test_json_tells_possible_times_of_segments_and_words(name, transcript, resolution):
    options = FormatOptions(segment_resolution=resolution)
    value = json.loads(render(transcript, name, options))

    found = value["segments"]
    assert is_possible([(s["start"], s["end"]) for s in found], transcript.duration)
    assert letters(*(s["text"] for s in found)) == letters(*said(transcript))
    for segment in found:
        words = [(w["start"], w["end"]) for w in segment.get("words", ())]
        assert is_possible(words, segment["end"])
        assert all(segment["start"] <= start for start, _ in words)
    counted = [len(segment.words or ()) for segment in transcript.segments]
    assert sum(len(s.get("words", ())) for s in found) == sum(counted)


@quick
@given(transcripts())
def test_rttm_tells_possible_times(transcript):
    if transcript.turns is None and not any(s.speaker for s in transcript.segments):
        return
    for start, end, name in READERS["rttm"](render(transcript, "rttm")):
        assert 0 <= start < end <= round(transcript.duration, 3)
        assert name


@quick
@given(transcripts())
def test_tidying_or_cutting_twice_changes_nothing_more(transcript):
    once = tidy(transcript)
    cut = split_sentences(once)

    assert tidy(once) == once
    assert tidy(cut) == cut
