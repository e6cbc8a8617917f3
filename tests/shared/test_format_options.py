"""Who speaks, where sentences end, and options that a format has no use for."""

from __future__ import annotations

import io
import json

import docx
import pytest
from format_readers import READERS, read_docx, read_rttm
from transcripts import change_segments, word_by_word

from shared.errors import InvalidRequest
from shared.formats import FORMATS, FormatOptions, read_options, render
from shared.formats.sentences import split_sentences
from shared.transcript import Character, SpeakerTurn, Warned

OTHER = {
    "max_line_width": 6,
    "max_line_count": 1,
    "max_words_per_line": 1,
    "highlight_words": True,
    "speakers": False,
    "segment_resolution": "sentence",
}
"""A value of each option that is not its default."""


@pytest.fixture
def dialog(make_transcript):
    """Two people; what the second says is in two segments."""
    spans = [(0.0, 2.0, " Hello."), (2.0, 3.0, " Oh,"), (3.0, 4.0, " hi. You?"), (4.0, 5.0, " …")]
    transcript = make_transcript(*spans)
    return change_segments(transcript, speaker=["Ann & <b>", "SPEAKER_01", "SPEAKER_01", None])


def test_every_option_is_looked_at_here():
    assert OTHER.keys() == FormatOptions.model_fields.keys()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("option", OTHER)
def test_an_option_changes_what_is_written_or_is_refused(dialog, name, option):
    transcript = word_by_word(dialog)
    beside = {"max_line_width": 6} if option == "max_line_count" else {}

    if option in FORMATS[name].options:
        options = FormatOptions(**beside, **{option: OTHER[option]})
        assert render(transcript, name, options) != render(
            transcript, name, FormatOptions(**beside)
        )
    else:
        with pytest.raises(InvalidRequest, match=f"format {name} has no use for {option}") as e:
            render(transcript, name, FormatOptions(**{option: OTHER[option]}))
        assert e.value.param == option


def test_a_refusal_names_the_formats_an_option_is_for(dialog):
    with pytest.raises(InvalidRequest) as refused:
        render(dialog, "json", FormatOptions(max_line_width=20))

    assert refused.value.message == (
        "format json has no use for max_line_width; it is for format=srt, vtt"
    )


def test_an_option_is_refused_even_if_it_says_what_holds_anyway(dialog):
    with pytest.raises(InvalidRequest, match="format rttm has no use for speakers"):
        render(dialog, "rttm", FormatOptions(speakers=True))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("max_line_width", "0", "max_line_width is 0; it must be at least 1"),
        ("max_line_width", "wide", "max_line_width is 'wide'; it must be a whole number"),
        ("max_line_count", "1.5", "max_line_count is 1.5; it must be a whole number"),
        ("max_words_per_line", "1001", "max_words_per_line is 1001; it must be at most 1000"),
        ("highlight_words", "2", "highlight_words is 2; it must be true or false"),
        ("speakers", "Ann", "speakers is 'Ann'; it must be true or false"),
        ("segment_resolution", "word", "it must be 'sentence' or 'chunk'"),
    ],
)
def test_an_impossible_value_is_refused_by_name(name, value, said):
    with pytest.raises(InvalidRequest) as refused:
        read_options({name: value})

    assert said in refused.value.message
    assert refused.value.param == name


def test_options_are_read_as_a_query_has_them():
    fields = {"max_line_width": "42", "highlight_words": "yes", "speakers": "false"}

    assert read_options(fields) == FormatOptions(
        max_line_width=42, highlight_words=True, speakers=False
    )


@pytest.mark.parametrize("options", [{}, {"max_words_per_line": 9}])
def test_subtitles_name_the_speaker_of_each_cue(dialog, options):
    srt = render(dialog, "srt", FormatOptions(**options))
    vtt = render(dialog, "vtt", FormatOptions(**options))

    assert [text for _, _, text in READERS["srt"](srt)] == [
        "[Ann & <b>]: Hello.",
        "[SPEAKER_01]: Oh,",
        "[SPEAKER_01]: hi. You?",
        "…",
    ]
    assert vtt.partition("\n\n")[2].splitlines()[1::3] == [
        "<v Ann &amp; &lt;b&gt;>Hello.</v>",
        "<v SPEAKER_01>Oh,</v>",
        "<v SPEAKER_01>hi. You?</v>",
        "…",
    ]


def test_a_text_has_a_line_for_each_time_somebody_speaks(dialog):
    assert render(dialog, "text") == "[Ann & <b>]: Hello.\n[SPEAKER_01]: Oh, hi. You?\n…\n"
    assert render(dialog, "text", FormatOptions(speakers=False)) == "Hello. Oh, hi. You? …\n"


def test_chinese_lines_of_a_text_are_joined_without_spaces(make_transcript):
    transcript = make_transcript((0.0, 1.0, "你好，"), (1.0, 2.0, "再见。"), language="zh")
    spoken = change_segments(transcript, speaker="A")

    assert render(spoken, "text") == "[A]: 你好，再见。\n"
    translated = spoken.model_copy(update={"task": "translate"})
    assert render(change_segments(translated, text=" Bye."), "text") == "[A]: Bye. Bye.\n"


def test_a_table_and_a_document_name_the_speaker(dialog):
    told = ["[Ann & <b>]: Hello.", "[SPEAKER_01]: Oh,", "[SPEAKER_01]: hi. You?", "…"]
    silent = FormatOptions(speakers=False)

    assert [text for _, _, text in READERS["tsv"](render(dialog, "tsv"))] == told
    assert [text for _, text in read_docx(render(dialog, "docx"))] == told
    assert [text for _, text in read_docx(render(dialog, "docx", silent))][0] == "Hello."
    assert render(dialog, "tsv", silent).splitlines()[1] == "0\t2000\tHello."


SENTENCES = FormatOptions(segment_resolution="sentence")


@pytest.mark.parametrize("name", ["verbose_json", "whisper", "srt", "vtt", "tsv"])
def test_segments_are_cut_where_sentences_end(make_transcript, name):
    transcript = make_transcript((1.0, 5.0, " It is. Is it? Yes."))

    assert READERS[name](render(word_by_word(transcript), name, SENTENCES)) == [
        (1.0, 2.6, "It is."),
        (2.6, 4.2, "Is it?"),
        (4.2, 5.0, "Yes."),
    ]
    assert READERS[name](render(transcript, name, FormatOptions(segment_resolution="chunk"))) == [
        (1.0, 5.0, "It is. Is it? Yes.")
    ]


def test_without_word_times_sentences_share_the_time(make_transcript):
    transcript = make_transcript((0.0, 4.0, " No way. Really."))

    assert [text for _, _, text in READERS["srt"](render(transcript, "srt", SENTENCES))] == [
        "No way.",
        "Really.",
    ]


def test_a_sentence_takes_its_words_characters_and_speaker_along(make_transcript):
    chars = tuple(Character(char=c, start=n, end=n + 1, score=0.5) for n, c in enumerate("好。你"))
    transcript = word_by_word(make_transcript((0.0, 3.0, "好。你"), language="zh"))
    cut = split_sentences(change_segments(transcript, speaker="A", chars=chars))

    assert [[w.word for w in segment.words] for segment in cut.segments] == [["好", "。"], ["你"]]
    assert [[c.char for c in segment.chars] for segment in cut.segments] == [["好", "。"], ["你"]]
    assert [(s.id, s.speaker, s.start, s.end) for s in cut.segments] == [
        (0, "A", 0.0, 2.0),
        (1, "A", 2.0, 3.0),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("他说：「好。」我走了！你呢？", ["他说：「好。」", "我走了！", "你呢？"]),
        ("行きます。はい", ["行きます。", "はい"]),
        (
            " Dr. No met J. R. Smith at 3.5. He left.",
            ["Dr. No met J. R. Smith at 3.5.", "He left."],
        ),
        (' "Stop!" He ran... and ran. E.g. here.', ['"Stop!"', "He ran... and ran.", "E.g. here."]),
        (" क्या है। हाँ।", ["क्या है।", "हाँ।"]),
        (" No end here", ["No end here"]),
    ],
)
def test_where_a_sentence_ends(make_transcript, text, expected):
    cut = split_sentences(make_transcript((0.0, 9.0, text)))

    assert [segment.text.strip() for segment in cut.segments] == expected


def test_rttm_lists_the_turns(dialog):
    turns = [("A B", 1.5, 2.25), ("C", 0.0, 2.0), ("C", 3.0, 3.0), ("C", 4.0, 99.0)]
    spoken = tuple(SpeakerTurn(speaker=s, start=start, end=end) for s, start, end in turns)
    written = render(dialog.model_copy(update={"turns": spoken}), "rttm")

    assert written.splitlines()[0] == "SPEAKER audio 1 0.000 2.000 <NA> <NA> C <NA> <NA>"
    assert read_rttm(written) == [(0.0, 2.0, "C"), (1.5, 2.25, "A_B"), (4.0, 5.0, "C")]


def test_without_turns_rttm_lists_the_speakers_of_segments(dialog):
    assert read_rttm(render(dialog, "rttm")) == [
        (0.0, 2.0, "Ann_&_<b>"),
        (2.0, 3.0, "SPEAKER_01"),
        (3.0, 4.0, "SPEAKER_01"),
    ]


def test_without_speakers_there_is_no_rttm(make_transcript):
    nobody = make_transcript((0.0, 1.0, " hi"))

    assert render(nobody.model_copy(update={"turns": ()}), "rttm") == ""
    with pytest.raises(InvalidRequest, match="submit the audio with diarize=true") as refused:
        render(nobody, "rttm")
    assert refused.value.param == "format"


def test_the_error_says_why_there_is_no_rttm(make_transcript):
    asked = make_transcript((0.0, 1.0, " hi")).model_copy(update={"options": {"diarize": True}})
    why = "it is not known who speaks: its process was lost twice"
    failed = Warned(code="diarization_failed", message=why)

    with pytest.raises(InvalidRequest, match=why) as refused:
        render(asked.model_copy(update={"warnings": (failed,)}), "rttm")
    assert "diarize=true" not in refused.value.message
    with pytest.raises(InvalidRequest, match="nobody was found"):
        render(asked, "rttm")


@pytest.mark.parametrize(
    ("filename", "called"),
    [
        ("meeting.wav", "meeting"),
        ("Board meeting\u00a03.final.mp3", "Board_meeting_3.final"),
        ("会议 录音.m4a", "会议_录音"),
        (" .wav", "audio"),
        ("line\nbreak\ttab.flac", "line_break_tab"),
        ("", "audio"),
    ],
)
def test_rttm_names_the_recording_in_one_field(dialog, filename, called):
    lines = str(render(dialog, "rttm", filename=filename)).splitlines()

    assert {line.split()[1] for line in lines} == {called}
    assert {len(line.split()) for line in lines} == {10}


def test_a_document_says_what_it_is_of(make_transcript):
    transcript = make_transcript((0.0, 1.0, "你\n好\x0b"), language="zh", duration=3723.9)
    document = docx.Document(io.BytesIO(render(transcript, "docx")))

    assert [(p.style.name, p.text) for p in document.paragraphs] == [
        ("Title", "Transcript"),
        ("Normal", "Chinese · 01:02:03 · demo"),
        ("Normal", "[00:00:00] 你好"),
    ]
    assert document.core_properties.author == "Longhand"


def test_a_translation_is_written_in_english(make_transcript):
    transcript = make_transcript((0.0, 1.0, " a\nb"), language="zh", task="translate")
    document = docx.Document(io.BytesIO(render(transcript, "docx")))

    assert document.paragraphs[1].text == "English, translated from Chinese · 00:00:01 · demo"
    assert document.paragraphs[2].text == "[00:00:00] a b"


def test_the_same_transcript_is_the_same_document(dialog):
    assert render(dialog, "docx") == render(dialog, "docx")


def test_whispers_own_result_has_its_keys_and_no_others(dialog):
    value = json.loads(render(word_by_word(dialog), "whisper"))

    segment = value["segments"][0]
    assert (value["text"], value["language"]) == (dialog.text, "en")
    assert list(segment) == [
        "id", "seek", "start", "end", "text", "tokens", "temperature", "avg_logprob",
        "compression_ratio", "no_speech_prob", "words",
    ]  # fmt: skip
    assert segment["words"] == [{"word": " Hello.", "start": 0.0, "end": 2.0, "probability": 0.5}]
    assert "words" not in json.loads(render(dialog, "whisper"))["segments"][0]
