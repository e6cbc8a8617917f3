"""Which speech is converted to which script, and which is left as it was said."""

from __future__ import annotations

from typing import get_args

import pytest
from chinese_phrases import KEPT

from shared.chinese import VARIANTS, Variant, convert, find_variant
from shared.chinese_text import convert_text
from shared.errors import InvalidRequest
from shared.transcript import Segment, Transcript


@pytest.mark.parametrize("language", KEPT)
def test_other_languages_are_left_alone(spoken, variant, language):
    transcript = spoken(list(KEPT[language]), language=language)

    assert convert(transcript, variant) is transcript


def test_japanese_would_not_survive_a_conversion():
    """Why the language decides, and not the characters."""
    assert convert_text(KEPT["ja"], "s2t").text != KEPT["ja"]


def test_cantonese_is_converted(spoken):
    assert convert(spoken(["我哋", "里面"], language="yue"), "s2hk").text == "我哋裏面"


def test_a_translation_is_left_alone(spoken):
    transcript = spoken([" Hair", " is", " 头发."], task="translate")

    assert convert(transcript, "s2tw") is transcript


def test_none_leaves_what_was_recognised(spoken):
    transcript = spoken(["头发"], options={"chinese": "s2tw", "language": "zh"})
    read = convert(transcript, "none")

    assert (read.text, read.segments) == (transcript.text, transcript.segments)
    assert read.options == {"chinese": "none", "language": "zh"}


def test_the_options_name_the_variant_that_is_read(spoken):
    transcript = spoken(["头发"], options={"chinese": "s2tw"})

    assert convert(transcript, "s2hk").options == {"chinese": "s2hk"}
    assert transcript.options == {"chinese": "s2tw"}, "the stored one is not touched"


def test_a_variant_is_found_by_its_name():
    assert [find_variant(name) for name in get_args(Variant)] == list(VARIANTS)


@pytest.mark.parametrize("name", ["s2x", "S2T", "", "s2twp.json", "繁體"])
def test_an_unknown_variant_is_refused_with_those_there_are(name):
    with pytest.raises(InvalidRequest, match=f"chinese is '{name}'; .* none, s2t, .*, t2hk") as e:
        find_variant(name)

    assert e.value.param == "chinese"


def test_of_mixed_speech_only_the_chinese_is_converted() -> None:
    said = [
        (" 头发很长。", "zh"),
        (" Hello there.", "en"),
        (" 国会です。", "ja"),
        (" 发展。", "zh"),
    ]
    segments = tuple(
        Segment(
            id=n,
            seek=0,
            start=n,
            end=n + 1,
            text=text,
            tokens=(),
            temperature=0,
            avg_logprob=0,
            compression_ratio=1,
            no_speech_prob=0,
            language=language,
        )  # fmt: skip
        for n, (text, language) in enumerate(said)
    )
    transcript = Transcript(
        text="", task="transcribe", language="en", language_probability=1, duration=4,
        duration_after_vad=4, segments=segments, model="m", model_revision="", engine="e",
    )  # fmt: skip

    found = convert(transcript, "s2tw")

    assert [s.text for s in found.segments] == [
        " 頭髮很長。",
        " Hello there.",
        " 国会です。",
        " 發展。",
    ]
    assert [s.language for s in found.segments] == ["zh", "en", "ja", "zh"]
    assert found.text == "頭髮很長。 Hello there. 国会です。發展。"
    assert found.options["chinese"] == "s2tw"
