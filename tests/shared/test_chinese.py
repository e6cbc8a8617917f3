"""Chinese in another script: OpenCC's text, in the words, segments and times there were."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from chinese_phrases import IN_CONTEXT, TAIWANS_WORDS
from opencc import OpenCC

from models.training.demo_model.phrasebook import draw_sentence
from shared.chinese import convert
from shared.chinese_text import convert_text
from shared.transcript import Character

PHRASES = [*IN_CONTEXT, *TAIWANS_WORDS]


@pytest.fixture(scope="module")
def opencc(variant):
    """The library itself, as its users call it."""
    return OpenCC(variant).convert


def draw_text(draw):
    """A few phrases of the phrase book and of the tricky ones, some in Traditional."""
    book = (draw_sentence(draw, "zh").text for _ in range(draw.randint(1, 3)))
    tricky = draw.sample([*PHRASES, *IN_CONTEXT.values(), *TAIWANS_WORDS.values()], k=4)
    phrases = [*book, *tricky, draw.choice(["OK, U盘 2.5 GB", "", " 看 Whisper 的视频 "])]
    draw.shuffle(phrases)
    return "".join(p if draw.random() < 0.5 else p.rstrip("。") for p in phrases)


def cut(text, draw, longest):
    """Cut a text anywhere, phrases or not."""
    pieces, start = [], 0
    while start < len(text):
        end = start + draw.randint(1, longest)
        pieces.append(text[start:end])
        start = end
    return pieces


def told(transcript):
    """The words of every segment."""
    return [[word.word for word in segment.words] for segment in transcript.segments]


def times(values):
    return [(value.start, value.end) for value in values]


def words_of(transcript):
    return [word for segment in transcript.segments for word in segment.words]


@pytest.mark.parametrize(("recognised", "read"), IN_CONTEXT.items())
def test_a_character_is_converted_by_what_stands_around_it(spoken, recognised, read):
    converted = convert(spoken(list(recognised)), "s2tw")

    assert converted.text == converted.segments[0].text == read
    assert told(converted) == [list(read)]


@pytest.mark.parametrize(("recognised", "read"), TAIWANS_WORDS.items())
def test_taiwans_words_stand_where_the_others_stood(spoken, recognised, read):
    transcript = spoken(list(recognised))
    converted = convert(transcript, "s2twp")

    assert converted.text == read
    assert "".join(told(converted)[0]) == read
    assert times(words_of(converted)) == times(words_of(transcript)), "none became shorter"


def test_a_phrase_may_run_from_one_segment_into_the_next(spoken):
    transcript = spoken(["大", "皇"], ["后", "来了。"], ["头"], ["发。"], ["出发"])

    assert told(convert(transcript, "s2tw")) == [
        ["大", "皇"],
        ["后", "來了。"],
        ["頭"],
        ["髮。"],
        ["出發"],
    ]


def test_a_longer_phrase_is_dealt_out_to_the_words_that_said_it(spoken):
    converted = convert(spoken(["我", "的博", "客"], ["互", "联", "网"]), "s2twp")

    assert told(converted) == [["我", "的部落", "格"], ["網", "際網", "路"]]


def test_a_word_left_without_a_character_goes_into_the_one_beside_it(spoken):
    transcript = spoken(["我", "的", "部", "落", "格", "。"])
    converted = convert(transcript, "tw2sp")

    assert told(converted) == [["我", "的", "博", "客", "。"]]
    assert times(converted.segments[0].words) == [
        (0.0, 0.1),
        (0.1, 0.2),
        (0.2, 0.4),
        (0.4, 0.5),
        (0.5, 0.6),
    ]


def test_the_text_is_what_opencc_makes_of_the_whole(variant, opencc):
    draw = random.Random(f"whole {variant}")
    for _ in range(300):
        text = draw_text(draw)
        assert convert_text(text, variant).text == opencc(text)


def test_the_text_is_opencc_s_whatever_stands_in_its_dictionaries(variant, opencc):
    """Keys of all dictionaries, cut and run together, so that phrases compete."""
    draw = random.Random(f"keys {variant}")
    config = OpenCC(variant)
    tables = [table for stage in config._dict_chain_data for _, _, table in stage]
    keys = [key for table in tables for key in draw.sample(sorted(table), min(400, len(table)))]
    for _ in range(300):
        chosen = draw.choices(keys, k=draw.randint(0, 12))
        text = "".join(key[draw.randint(0, 1) :][: draw.randint(1, 9)] for key in chosen)
        assert convert_text(text, variant).text == opencc(text)


def test_words_and_segments_spell_the_text_in_time_order(spoken, variant, opencc):
    draw = random.Random(f"cuts {variant}")
    for _ in range(150):
        text = draw_text(draw).replace(" ", "")
        segments = [cut(piece, draw, 4) for piece in cut(text, draw, 25)]
        transcript = spoken(*segments)
        converted = convert(transcript, variant)

        assert converted.text == opencc(text)
        assert "".join(s.text for s in converted.segments) == converted.text
        assert ["".join(words) for words in told(converted)] == [s.text for s in converted.segments]
        assert times(converted.segments) == times(transcript.segments)
        assert all(word.word for word in words_of(converted))
        timed = [time for word in words_of(converted) for time in (word.start, word.end)]
        assert all(earlier <= later for earlier, later in pairwise(timed))
        known = {time for span in times(words_of(transcript)) for time in span}
        assert set(timed) <= known, "every time is one that a word had"


def test_characters_keep_their_times_where_no_phrase_changes_its_length(spoken):
    draw = random.Random("same length")
    for _ in range(100):
        text = draw_text(draw).replace(" ", "")
        transcript = spoken(list(text))
        converted = convert(transcript, "s2tw")

        assert [word.word for word in words_of(converted)] == list(converted.text)
        assert times(words_of(converted)) == times(words_of(transcript))


@pytest.mark.parametrize("there_and_back", [("s2t", "t2s"), ("s2tw", "tw2s"), ("s2hk", "hk2s")])
@pytest.mark.parametrize("text", PHRASES)
def test_what_was_said_in_simplified_comes_back(spoken, there_and_back, text):
    there, back = there_and_back
    transcript = spoken(list(text))

    assert told(convert(convert(transcript, there), back)) == told(transcript)


def test_segments_without_words_are_converted(make_transcript):
    transcript = make_transcript((0.0, 1.0, "皇"), (1.0, 2.5, "后的软件"), language="zh")
    converted = convert(transcript, "s2twp")

    assert [s.text for s in converted.segments] == ["皇", "后的軟體"]
    assert [s.words for s in converted.segments] == [None, None]


def test_nobody_speaking_stays_so(make_transcript):
    converted = convert(make_transcript(language="zh"), "s2tw")

    assert (converted.text, converted.segments) == ("", ())


def test_white_space_around_words_and_segments_is_kept(spoken):
    transcript = spoken([" 头", "发 ", "很长"], [" ", " U", "盘 OK "], text="头发 很长U盘 OK")
    converted = convert(transcript, "s2twp")

    assert [s.text for s in converted.segments] == [" 頭髮 很長", "  隨身碟 OK "]
    assert told(converted) == [[" 頭", "髮 ", "很長"], ["  隨身", "碟 OK "]]
    assert converted.text == "頭髮 很長隨身碟 OK"


def test_words_that_do_not_spell_their_segment_are_converted_as_a_text(spoken):
    transcript = spoken(["头", "发", "五"], ["出", "发"])
    first = transcript.segments[0].model_copy(update={"text": "头发5"})
    segments = (first, transcript.segments[1])
    converted = convert(transcript.model_copy(update={"segments": segments}), "s2tw")

    assert [s.text for s in converted.segments] == ["頭髮5", "出發"]
    assert told(converted) == [["頭", "髮", "五"], ["出", "發"]]


def test_a_mark_that_a_word_took_from_the_next_segment_does_not_part_them(spoken):
    transcript = spoken(["见", "皇"], ["后。"], ["后", "来"], ["他", "说：“"], ["头", "发"])
    texts = ["见皇", "后", "。后来", "他说：", "“头发"]
    segments = (
        segment.model_copy(update={"text": text})
        for segment, text in zip(transcript.segments, texts, strict=True)
    )
    converted = convert(transcript.model_copy(update={"segments": tuple(segments)}), "s2tw")

    assert [s.text for s in converted.segments] == ["見皇", "后", "。後來", "他說：", "“頭髮"]
    assert told(converted) == [["見", "皇"], ["后。"], ["後", "來"], ["他", "說：“"], ["頭", "髮"]]


def test_the_rest_of_a_transcript_is_kept(spoken):
    transcript = spoken(["头", "发"])
    converted = convert(transcript, "s2tw")

    fields = {"text", "segments", "options"}
    assert converted.model_dump(exclude=fields) == transcript.model_dump(exclude=fields)
    assert converted.segments[0].tokens == transcript.segments[0].tokens
    assert [w.probability for w in words_of(converted)] == [
        w.probability for w in words_of(transcript)
    ]


def timed_characters(transcript):
    """The transcript with times for every character of its words, instead of for the words."""
    segments = [
        segment.model_copy(
            update={
                "words": None,
                "chars": tuple(
                    Character(char=w.word, start=w.start, end=w.end, score=w.probability)
                    for w in segment.words
                ),
            }
        )
        for segment in transcript.segments
    ]
    return transcript.model_copy(update={"segments": tuple(segments)})


def test_timed_characters_are_written_as_the_text_is(spoken):
    transcript = timed_characters(spoken(list("大皇"), list("后的头发。"), list("出发")))
    converted = convert(transcript, "s2tw")

    assert [s.text for s in converted.segments] == ["大皇", "后的頭髮。", "出發"]
    for before, after in zip(transcript.segments, converted.segments, strict=True):
        assert "".join(char.char for char in after.chars) == after.text
        assert times(after.chars) == times(before.chars)
        assert [char.score for char in after.chars] == [char.score for char in before.chars]


def test_a_timed_character_that_is_left_with_nothing_goes_into_the_one_before(spoken):
    transcript = timed_characters(spoken(list("看部落格")))
    [segment] = convert(transcript, "tw2sp").segments

    assert segment.text == "".join(char.char for char in segment.chars) == "看博客"
    assert (segment.chars[0].start, segment.chars[-1].end) == (0.0, 0.4)


@pytest.mark.parametrize("asked", ["s2t", "s2tw", "s2hk", "t2s", "tw2s", "hk2s"])
def test_what_is_in_the_script_asked_for_already_stays_as_it_is(spoken, asked):
    """A model may write either: `base` writes some recordings in Traditional unasked."""
    for phrase in PHRASES:
        once = convert(spoken(list(phrase)), asked)

        assert convert(once, asked).text == once.text
        if asked.endswith("s"):
            assert once.text == phrase
