"""Every format, read back by somebody else's parser."""

from __future__ import annotations

import json

import pytest
from format_readers import READERS

from shared.errors import InvalidRequest
from shared.formats import FORMATS, render
from shared.transcript import Warned, Word

WITHOUT_TIMES = {"json", "text"}
OF_TEXT = [name for name in FORMATS if name != "rttm"]


@pytest.fixture(params=OF_TEXT)
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
    if format_name == "docx":
        return [(int(start), text.strip()) for start, _, text in spans]
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


def test_a_number_above_a_date_is_not_the_next_cue(make_transcript):
    transcript = make_transcript((0.0, 1.0, " Room 5,\n7\n10.11.2026"), (1.0, 2.0, " next"))

    assert [text for _, _, text in READERS["srt"](render(transcript, "srt"))] == [
        "Room 5,\n7 10.11.2026",
        "next",
    ]


def test_chinese_is_written_as_it_was_said(make_transcript, read_back, format_name):
    spans = [(0.0, 1.0, "头发和"), (1.0, 2.5, "皇后")]

    assert read_back(make_transcript(*spans, language="zh")) == expected(format_name, *spans)


def test_markup_in_the_text_is_text(make_transcript, read_back, format_name):
    spans = [(0.0, 1.0, ' <b>R&D</b> &amp; {\\an8} \\N "quoted"')]

    assert read_back(make_transcript(*spans)) == expected(format_name, *spans)


def test_every_format_has_a_reader_here():
    assert set(READERS) == set(FORMATS)


def test_an_unknown_format_is_refused_by_name():
    with pytest.raises(InvalidRequest, match="format 'doc' is not known; it is one of json,") as e:
        render(None, "doc")

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


@pytest.mark.parametrize("name", ["verbose_json", "whisper", "srt", "vtt", "tsv"])
def test_times_are_in_order_and_within_the_audio(make_transcript, name):
    spans = [(-1.0, 1.0, " a"), (3.0, 2.0, " b"), (2.5, 9.0, " c"), (4.0, 9.5, " d")]
    transcript = make_transcript(*spans, duration=5.0)

    assert READERS[name](render(transcript, name)) == [
        (0.0, 1.0, "a"),
        (3.0, 3.001, "b"),
        (3.001, 4.0, "c"),
        (4.0, 5.0, "d"),
    ]


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
