"""How subtitles are laid out: columns, lines, words, pauses, highlights."""

from __future__ import annotations

import pytest
from format_readers import READERS, read_srt, read_vtt
from transcripts import change_segments, word_by_word

from shared.formats import FormatOptions, render
from shared.transcript import Word

SENTENCE = " The quick brown fox jumps over the lazy dog."


def laid_out(transcript, name="vtt", **options):
    """Start, end and text of every cue."""
    return READERS[name](render(transcript, name, FormatOptions(**options)))


def texts(transcript, name="vtt", **options):
    return [text for _, _, text in laid_out(transcript, name, **options)]


@pytest.fixture(params=["timed words", "no words"])
def spoken(request, make_transcript):
    """Build a transcript whose words are timed, or are not."""

    def make(*spans, **fields):
        transcript = make_transcript(*spans, **fields)
        return word_by_word(transcript) if request.param == "timed words" else transcript

    return make


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_no_line_is_wider_than_asked(spoken, name):
    transcript = spoken((0.0, 9.0, SENTENCE))

    assert texts(transcript, name, max_line_width=16) == [
        "The quick brown\nfox jumps over\nthe lazy dog."
    ]
    assert texts(transcript, name, max_line_width=15) == [
        "The quick brown\nfox jumps over\nthe lazy dog."
    ]
    assert texts(transcript, name, max_line_width=14) == [
        "The quick\nbrown fox\njumps over the\nlazy dog."
    ]


def test_a_word_wider_than_a_line_has_one_of_its_own(spoken):
    transcript = spoken((0.0, 3.0, " an extraordinarily long word"))

    assert texts(transcript, max_line_width=9) == ["an\nextraordinarily\nlong word"]


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_a_cue_has_no_more_lines_than_asked(spoken, name):
    transcript = spoken((0.0, 9.0, SENTENCE))

    assert texts(transcript, name, max_line_width=16, max_line_count=2) == [
        "The quick brown\nfox jumps over",
        "the lazy dog.",
    ]
    assert texts(transcript, name, max_line_width=16, max_line_count=1) == [
        "The quick brown",
        "fox jumps over",
        "the lazy dog.",
    ]


def test_the_lines_of_the_text_itself_count(spoken):
    transcript = spoken((0.0, 2.0, " one\ntwo"))

    assert texts(transcript, max_line_count=2) == ["one\ntwo"]
    assert texts(transcript, max_line_count=1) == ["one", "two"]


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_a_cue_has_no_more_words_than_asked(spoken, name):
    transcript = spoken((0.0, 9.0, SENTENCE))

    assert texts(transcript, name, max_words_per_line=4) == [
        "The quick brown fox",
        "jumps over the lazy",
        "dog.",
    ]


def test_with_a_number_of_lines_the_words_are_counted_on_each(spoken):
    transcript = spoken((0.0, 9.0, SENTENCE))

    assert texts(transcript, max_words_per_line=3, max_line_count=2) == [
        "The quick brown\nfox jumps over",
        "the lazy dog.",
    ]


def test_cues_begin_and_end_with_their_words(make_transcript):
    words = [(" Good", 0.5, 0.8), (" morning", 1.0, 1.5), (" everybody", 2.0, 2.75)]
    timed = tuple(Word(word=w, start=s, end=e, probability=1.0) for w, s, e in words)
    transcript = change_segments(
        make_transcript((0.0, 4.0, " Good morning everybody")), words=timed
    )

    assert laid_out(transcript, max_words_per_line=2) == [
        (0.5, 1.5, "Good morning"),
        (2.0, 2.75, "everybody"),
    ]


def test_without_word_times_the_time_is_shared_by_width(make_transcript):
    transcript = make_transcript((1.0, 3.0, " aaaa bb\n bb"))

    assert laid_out(transcript, max_words_per_line=1) == [
        (1.0, 2.0, "aaaa"),
        (2.0, 2.5, "bb"),
        (2.5, 3.0, "bb"),
    ]


def test_words_that_spell_something_else_do_not_replace_the_text(make_transcript):
    transcript = word_by_word(make_transcript((0.0, 2.0, " twenty one")))
    transcript = change_segments(transcript, text=" 21 apples")

    assert laid_out(transcript, max_words_per_line=1) == [(0.0, 0.5, "21"), (0.5, 2.0, "apples")]


def test_marks_that_the_words_lack_are_not_lost(make_transcript):
    transcript = word_by_word(make_transcript((0.0, 3.0, " so it is")))
    transcript = change_segments(transcript, text=' "So," it — is…'.replace("S", "s"))

    assert laid_out(transcript, max_words_per_line=1) == [
        (0.0, 1.0, '"so,"'),
        (1.0, 2.0, "it —"),
        (2.0, 3.0, "is…"),
    ]


def test_with_width_and_lines_cues_run_on_into_the_next_segment(spoken):
    transcript = spoken((0.0, 2.0, " one two"), (2.0, 4.0, " three four"))

    assert texts(transcript, max_line_width=20) == ["one two", "three four"]
    assert texts(transcript, max_line_width=20, max_line_count=1) == ["one two three four"]


@pytest.mark.parametrize(
    ("start", "expected"), [(5.0, ["one two three"]), (5.5, ["one two", "three"])]
)
def test_a_long_pause_begins_a_cue(make_transcript, start, expected):
    transcript = word_by_word(make_transcript((0.0, 4.0, " one two"), (start, 6.0, " three")))

    assert texts(transcript, max_line_width=40, max_line_count=2) == expected


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_another_speaker_begins_a_cue(spoken, name):
    transcript = change_segments(
        spoken((0.0, 2.0, " one two"), (2.0, 4.0, " three four")), speaker=["A", "B"]
    )
    wide = {"max_line_width": 40, "max_line_count": 2}

    prefixes = ("[A]: ", "[B]: ") if name == "srt" else ("", "")
    told = texts(transcript, name, **wide)
    assert told == [prefixes[0] + "one two", prefixes[1] + "three four"]
    assert texts(transcript, name, **wide, speakers=False) == ["one two three four"]


def test_a_speaker_takes_room_in_the_first_line_of_each_cue(spoken):
    transcript = change_segments(spoken((0.0, 4.0, " one two three four")), speaker="SPEAKER_00")

    assert texts(transcript, "srt", max_line_width=21) == ["[SPEAKER_00]: one two\nthree four"]
    assert texts(transcript, "srt", max_line_width=20) == ["[SPEAKER_00]: one\ntwo three four"]
    assert texts(transcript, "srt", max_line_width=15) == ["[SPEAKER_00]:\none two three\nfour"]
    assert texts(transcript, "srt", max_line_width=15, max_line_count=1) == [
        "[SPEAKER_00]: one",
        "[SPEAKER_00]: two",
        "[SPEAKER_00]: three",
        "[SPEAKER_00]: four",
    ]
    assert texts(transcript, "vtt", max_line_width=13) == ["one two three\nfour"]


def test_wide_characters_take_two_columns(spoken):
    transcript = spoken((0.0, 4.0, "春眠不觉晓处处闻"), language="zh")

    assert texts(transcript, max_line_width=8) == ["春眠不觉\n晓处处闻"]
    assert texts(transcript, max_line_width=7) == ["春眠不\n觉晓处\n处闻"]


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("你好，再见。", 4, "你\n好，\n再\n见。"),
        ("他说「你好」了", 6, "他说\n「你\n好」了"),
        ("用Python写程序", 8, "用Python\n写程序"),
        ("コーヒーとジュース", 6, "コー\nヒーと\nジュー\nス"),
        ("そうですっ！", 8, "そうで\nすっ！"),
        ("สวัสดีครับ", 4, "สวัส\nดีค\nรับ"),
    ],
)
def test_lines_break_between_characters_but_not_at_closing_or_opening_marks(
    make_transcript, text, width, expected
):
    transcript = make_transcript((0.0, 4.0, text), language="ja")

    assert texts(transcript, max_line_width=width) == [expected]


def test_korean_breaks_at_its_spaces(spoken):
    transcript = spoken((0.0, 2.0, " 안녕하세요 여러분"), language="ko")

    assert texts(transcript, max_line_width=6) == ["안녕하세요\n여러분"]


def test_what_is_written_together_is_not_broken_between_words(make_transcript):
    transcript = make_transcript((0.0, 2.0, " don't stop"))
    words = [(" don", 0.0, 0.5), ("'t", 0.5, 1.0), (" stop", 1.0, 2.0)]
    timed = tuple(Word(word=w, start=s, end=e, probability=1.0) for w, s, e in words)

    assert texts(change_segments(transcript, words=timed), max_line_width=4) == ["don't\nstop"]


def test_chinese_runs_on_without_a_space(spoken):
    transcript = spoken((0.0, 2.0, "你好，"), (2.0, 4.0, "再见。"), language="zh")

    assert texts(transcript, max_line_width=20, max_line_count=1) == ["你好，再见。"]


def test_a_highlighted_word_is_underlined_for_as_long_as_it_is_said(make_transcript):
    words = [(" R&D", 0.5, 1.0), (" is", 1.0, 1.5), (" fun.", 2.0, 2.5)]
    timed = tuple(Word(word=w, start=s, end=e, probability=1.0) for w, s, e in words)
    transcript = change_segments(make_transcript((0.0, 3.0, " R&D is fun.")), words=timed)

    options = FormatOptions(highlight_words=True)
    assert read_srt(render(transcript, "srt", options)) == [
        (0.5, 1.0, "<u>R&D</u> is fun."),
        (1.0, 1.5, "R&D <u>is</u> fun."),
        (1.5, 2.0, "R&D is fun."),
        (2.0, 2.5, "R&D is <u>fun.</u>"),
    ]
    assert "\n<u>R&amp;D</u> is fun.\n" in render(transcript, "vtt", options)
    assert [text for _, _, text in read_vtt(render(transcript, "vtt", options))] == [
        "R&D is fun."
    ] * 4


def test_highlighted_chinese_has_no_spaces(make_transcript):
    transcript = word_by_word(make_transcript((0.0, 2.0, "头发"), language="zh"))

    assert texts(transcript, "srt", highlight_words=True) == ["<u>头</u>发", "头<u>发</u>"]


def test_words_are_highlighted_within_their_lines(spoken):
    transcript = change_segments(spoken((0.0, 3.0, " aaa bbb ccc")), speaker="A")

    assert texts(transcript, "srt", highlight_words=True, max_line_width=12) == [
        "[A]: <u>aaa</u> bbb\nccc",
        "[A]: aaa <u>bbb</u>\nccc",
        "[A]: aaa bbb\n<u>ccc</u>",
    ]
