"""In which language it is said, and in which script it is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from real_speech import MANDARIN, n_errors, text_of, turns_of

from shared.chinese import convert
from shared.transcript import Transcript

pytestmark = pytest.mark.speech

Hear = Callable[..., Transcript]

IN_ENGLISH = text_of(turns_of("conversation")[:2])
IN_MANDARIN = text_of(turns_of("mandarin"))


@pytest.fixture(scope="module")
def mandarin(hear: Hear) -> Transcript:
    """What `base` makes of the Mandarin sample, untold."""
    return hear(MANDARIN)


@pytest.mark.parametrize("told", [None, "en"])
def test_english_is_known_untold_and_told(hear: Hear, two_turns: Path, told: str | None) -> None:
    heard = hear(two_turns, language=told)

    assert heard.language == "en" and heard.language_probability > 0.9
    assert n_errors(IN_ENGLISH, heard.text) <= 1


def test_mandarin_is_known_untold(mandarin: Transcript) -> None:
    assert mandarin.language == "zh" and mandarin.language_probability > 0.9
    assert n_errors(IN_MANDARIN, convert(mandarin, "t2s").text, "zh") <= 1


def test_mandarin_is_written_told(hear: Hear, mandarin: Transcript) -> None:
    heard = hear(MANDARIN, language="zh")

    assert (heard.language, heard.text) == ("zh", mandarin.text)


def test_a_model_that_knows_english_only_takes_its_name(hear: Hear, two_turns: Path) -> None:
    heard = hear(two_turns, "tiny.en", language="en")

    assert (heard.language, heard.warnings) == ("en", ())
    assert n_errors(IN_ENGLISH, heard.text) <= 1


@pytest.mark.parametrize("is_multilingual", [False, True])
def test_a_few_seconds_of_french_do_not_cost_the_english_after_them(
    hear: Hear, shared_dir: Path, is_multilingual: bool
) -> None:
    clip = shared_dir / "cases" / "recordings" / "c07_fr_intro.mp3"

    heard = hear(clip, multilingual=is_multilingual)

    said = (
        "if the reader will excuse me i will say nothing of my antecedents nor of the "
        "circumstances which led me to leave my native country the narrative would be tedious to "
        "him and painful to myself and so my fellow americans ask not what your country can do "
        "for you ask what you can do for your country"
    )
    english = [segment for segment in heard.segments if segment.language == "en"]
    assert heard.language == "en"
    assert n_errors(said, text_of(english)) <= 1
    assert [s.language for s in heard.segments if s.end < 2.6] == ["fr"]


@pytest.mark.parametrize("asked", ["t2s", "s2tw"])
@pytest.mark.parametrize("clip", ["zh_aishell.wav", "zh_asr_example.flac", "zh_factory.flac"])
def test_chinese_is_read_in_the_script_that_is_asked_for(
    hear: Hear, speech_dir: Path, clip: str, asked: Any
) -> None:
    told = json.loads((speech_dir / "manifest.json").read_text())
    [truth] = [each["text"] for each in told if each["file"].endswith(clip)]

    heard = hear(speech_dir / "clips" / clip, language="zh")
    read, other = convert(heard, asked), convert(heard, "s2tw" if asked == "t2s" else "t2s")

    assert n_errors(truth, convert(heard, "t2s").text, "zh") <= 0.35 * len(truth)
    assert read.text != other.text
    assert convert(read, asked).text == read.text == convert(other, asked).text
    assert "".join(segment.text for segment in read.segments) == read.text


def test_base_writes_traditional_unasked(hear: Hear, mandarin: Transcript) -> None:
    """Why a wish has to win over what a model wrote."""
    assert convert(mandarin, "t2s").text != mandarin.text
    assert "歡迎" in mandarin.text and "欢迎" in convert(mandarin, "t2s").text


def test_a_translation_is_in_english(hear: Hear) -> None:
    heard = hear(MANDARIN, task="translate")

    assert (heard.task, heard.language) == ("translate", "zh")
    assert heard.text.isascii()
    assert {"meeting", "computer"} <= set(
        heard.text.lower().replace(".", "").replace(",", "").split()
    )
