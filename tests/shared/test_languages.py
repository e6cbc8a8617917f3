"""Languages against Whisper's own table."""

from __future__ import annotations

import pytest

from shared.languages import NAMES, WITHOUT_SPACES, language_code


@pytest.mark.promise("S3-06")
def test_codes_and_names_are_whispers_own():
    tokenizer = pytest.importorskip("whisper.tokenizer", reason="extra `whisper` is not installed")

    assert tokenizer.LANGUAGES == NAMES
    assert len(NAMES) == 100


def test_every_name_whisper_takes_is_taken():
    tokenizer = pytest.importorskip("whisper.tokenizer", reason="extra `whisper` is not installed")
    taken = {name: language_code(name) for name in tokenizer.TO_LANGUAGE_CODE}

    assert taken == tokenizer.TO_LANGUAGE_CODE


@pytest.mark.promise("C-14")
@pytest.mark.parametrize("code", NAMES)
def test_a_language_is_known_by_code_and_name_in_any_case(code):
    assert language_code(code.upper()) == code
    assert language_code(NAMES[code].title()) == code


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("zh-Hant-TW", "zh"),
        ("zh_CN", "zh"),
        ("cmn", "zh"),
        ("zh-yue", "yue"),
        ("yue-HK", "yue"),
        ("iw", "he"),
        ("jv", "jw"),
        ("fil", "tl"),
        ("nb-NO", "no"),
        ("pt-BR", "pt"),
        ("mo", "ro"),
        ("in", "id"),
    ],
)
def test_a_language_tag_means_whispers_nearest_code(tag, code):
    assert language_code(tag) == code


@pytest.mark.parametrize("name", ["Klingon", "tlh", "xx", "e n", "a" * 300, "??", "中文"])
def test_an_unknown_language_has_no_code(name):
    assert language_code(name) is None


def test_languages_without_spaces_are_languages():
    assert set(NAMES) >= WITHOUT_SPACES >= {"zh", "yue", "ja", "th"}
