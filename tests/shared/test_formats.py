"""Every format, read back by somebody else's parser."""

from __future__ import annotations

import csv
import html
import json

import pytest
import srt
import webvtt

from shared.errors import InvalidRequest
from shared.formats import FORMATS, render
from shared.transcript import Warned, Word


def read_whole_text(text):
    return [text.removesuffix("\n")] if text else []


def read_json(text):
    return read_whole_text(json.loads(text)["text"])


def read_verbose_json(text):
    return [
        (segment["start"], segment["end"], segment["text"].strip())
        for segment in json.loads(text)["segments"]
    ]


def read_srt(text):
    cues = list(srt.parse(text, ignore_errors=False))
    assert [cue.index for cue in cues] == list(range(1, len(cues) + 1))
    return [(cue.start.total_seconds(), cue.end.total_seconds(), cue.content) for cue in cues]


def read_vtt(text):
    assert text.startswith("WEBVTT\n\n")
    cues = webvtt.from_string(text)
    return [
        (
            cue.start_time.in_milliseconds() / 1000,
            cue.end_time.in_milliseconds() / 1000,
            html.unescape(cue.text),
        )
        for cue in cues
    ]


def read_tsv(text):
    header, *rows = csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    assert header == ["start", "end", "text"]
    return [(int(start) / 1000, int(end) / 1000, said) for start, end, said in rows]


READERS = {
    "json": read_json,
    "verbose_json": read_verbose_json,
    "text": read_whole_text,
    "srt": read_srt,
    "vtt": read_vtt,
    "tsv": read_tsv,
}
WITHOUT_TIMES = {"json", "text"}


@pytest.fixture(params=FORMATS)
def format_name(request):
    return request.param


@pytest.fixture
def read_back(format_name):
    """Render and parse again: what a reader of the format is told."""
    return lambda transcript: READERS[format_name](render(transcript, format_name))


def expected(format_name, *spans):
    """What a format must say of these spans."""
    if format_name in WITHOUT_TIMES:
        return ["".join(text for _, _, text in spans).strip()]
    return [(start, end, text.strip()) for start, end, text in spans]


def test_round_numbers_stay_round(make_transcript, read_back, format_name):
    spans = [(0.0, 1.0, " one"), (1.0, 60.0, " two")]

    assert read_back(make_transcript(*spans)) == expected(format_name, *spans)


def test_times_are_rounded_to_the_nearest_millisecond(make_transcript, read_back, format_name):
    told = read_back(make_transcript((0.1 + 0.2, 1.9996, " so")))

    assert told == expected(format_name, (0.3, 2.0, " so"))


def test_nobody_speaking_is_still_a_valid_file(make_transcript, read_back, format_name):
    assert read_back(make_transcript()) == []


def test_a_time_past_one_hour_is_kept(make_transcript, read_back, format_name):
    spans = [(3599.5, 3600.25, " still"), (360_000.5, 360_001.0, " talking")]

    assert read_back(make_transcript(*spans)) == expected(format_name, *spans)


def test_an_arrow_in_the_text_does_not_end_the_cue(make_transcript, read_back, format_name):
    spans = [(0.0, 1.0, " a --> b ---> c"), (1.0, 2.0, " next")]
    told = read_back(make_transcript(*spans))

    if format_name == "srt":
        assert told == [(0.0, 1.0, "a -> b -> c"), (1.0, 2.0, "next")]
    else:
        assert told == expected(format_name, *spans)


def test_chinese_is_written_as_it_was_said(make_transcript, read_back, format_name):
    spans = [(0.0, 1.0, "头发和"), (1.0, 2.5, "皇后")]

    assert read_back(make_transcript(*spans, language="zh")) == expected(format_name, *spans)


def test_markup_in_the_text_is_text(make_transcript, read_back, format_name):
    spans = [(0.0, 1.0, ' <b>R&D</b> &amp; {\\an8} \\N "quoted"')]

    assert read_back(make_transcript(*spans)) == expected(format_name, *spans)


def test_every_format_has_a_reader_here():
    assert set(READERS) == set(FORMATS)


def test_an_unknown_format_is_refused_by_name():
    with pytest.raises(InvalidRequest, match="format 'docx' is not known; it is one of json,") as e:
        render(None, "docx")

    assert e.value.param == "format"


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_a_blank_line_in_the_text_does_not_end_the_cue(make_transcript, name):
    transcript = make_transcript((0.0, 1.0, " one\n\n \r\ntwo\n"), (1.0, 2.0, " three"))

    assert [text for _, _, text in READERS[name](render(transcript, name))] == [
        "one\ntwo",
        "three",
    ]


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_a_segment_without_text_gets_no_cue(make_transcript, name):
    transcript = make_transcript((0.0, 1.0, " "), (1.0, 2.0, " two"))

    assert READERS[name](render(transcript, name)) == [(1.0, 2.0, "two")]


@pytest.mark.parametrize("name", ["srt", "vtt", "tsv"])
def test_a_cue_never_ends_before_it_starts(make_transcript, name):
    transcript = make_transcript((2.0, 1.5, " odd"))

    assert READERS[name](render(transcript, name)) == [(2.0, 2.0, "odd")]


def test_srt_and_vtt_are_written_as_whisper_writes_them(make_transcript):
    transcript = make_transcript((0.0, 1.5, " one"), (3661.0, 3662.0, " two"))

    assert render(transcript, "srt") == (
        "1\n00:00:00,000 --> 00:00:01,500\none\n\n2\n01:01:01,000 --> 01:01:02,000\ntwo\n\n"
    )
    assert render(transcript, "vtt") == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\none\n\n01:01:01.000 --> 01:01:02.000\ntwo\n\n"
    )


def test_a_tab_in_the_text_does_not_add_a_column(make_transcript):
    english = make_transcript((0.0, 1.0, " one\ttwo\nthree"))
    chinese = make_transcript((0.0, 1.0, "一\t二\n三"), language="zh")

    assert render(english, "tsv") == "start\tend\ttext\n0\t1000\tone two three\n"
    assert render(chinese, "tsv") == "start\tend\ttext\n0\t1000\t一二三\n"


def test_json_holds_the_text_alone(make_transcript):
    assert render(make_transcript((0.0, 1.0, " 好")), "json") == '{"text": "好"}\n'


def test_verbose_json_holds_every_field_of_whispers_segments(make_transcript):
    value = json.loads(render(make_transcript((0.0, 1.0, " hi")), "verbose_json"))

    assert value == {
        "task": "transcribe",
        "language": "en",
        "duration": 1.0,
        "text": "hi",
        "segments": [
            {
                "id": 0,
                "seek": 0,
                "start": 0.0,
                "end": 1.0,
                "text": " hi",
                "tokens": [50364, 50414],
                "temperature": 0.0,
                "avg_logprob": -0.25,
                "compression_ratio": 1.0,
                "no_speech_prob": 0.125,
            }
        ],
        "model": "demo",
    }


def test_verbose_json_lists_words_speakers_and_warnings_when_there_are_any(make_transcript):
    word = Word(word=" hi", start=0.1, end=0.30000000000000004, probability=0.5)
    transcript = make_transcript((0.0, 1.0, " hi"))
    segment = transcript.segments[0].model_copy(update={"words": (word,), "speaker": "SPEAKER_00"})
    warning = Warned(code="alignment_failed", message="no model for tlh")
    value = json.loads(
        render(
            transcript.model_copy(update={"segments": (segment,), "warnings": (warning,)}),
            "verbose_json",
        )
    )

    times = {"start": 0.1, "end": 0.3, "probability": 0.5}
    assert value["words"] == [{"word": "hi", **times}]
    assert value["segments"][0]["words"] == [{"word": " hi", **times}]
    assert value["segments"][0]["speaker"] == "SPEAKER_00"
    assert value["warnings"] == [{"code": "alignment_failed", "message": "no model for tlh"}]
