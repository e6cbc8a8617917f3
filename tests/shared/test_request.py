"""What may be asked of a transcription."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from shared.request import MAX_PROMPT_CHARACTERS, TranscriptionRequest


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("language", "Klingon"),
        ("task", "summarise"),
        ("temperature", 3),
        ("temperature", -0.1),
        ("temperature", "warm"),
        ("word_timestamps", "perhaps"),
        ("model", "m" * 201),
        ("prompt", "p" * (MAX_PROMPT_CHARACTERS + 1)),
        ("modle", "small"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_field(field, value):
    with pytest.raises(ValidationError) as refused:
        TranscriptionRequest.model_validate({field: value})

    assert [error["loc"] for error in refused.value.errors()] == [(field,)]


@pytest.mark.promise("C-14")
@pytest.mark.parametrize("value", ["", "auto", " AUTO ", "null", "None", None])
def test_a_language_left_open_is_none(value):
    assert TranscriptionRequest(language=value).language is None


@pytest.mark.parametrize(
    ("given", "code"), [("zh", "zh"), ("Mandarin", "zh"), ("zh-TW", "zh"), ("EN", "en")]
)
def test_a_language_is_kept_as_whispers_code(given, code):
    assert TranscriptionRequest(language=given).language == code


def test_an_empty_model_or_prompt_is_none_given():
    request = TranscriptionRequest(model=" ", prompt="")

    assert (request.model, request.prompt) == (None, None)


def test_values_of_a_form_are_read_as_what_they_say():
    form = {"temperature": "0.2", "word_timestamps": "true", "timestamps": "false"}
    request = TranscriptionRequest.model_validate(form)

    assert (request.temperature, request.word_timestamps, request.timestamps) == (0.2, True, False)


def test_a_request_travels_unchanged():
    request = TranscriptionRequest(model="demo", language="zh", prompt="头发", temperature=0.5)

    assert TranscriptionRequest.model_validate_json(request.model_dump_json()) == request


def test_every_field_is_described():
    assert [n for n, f in TranscriptionRequest.model_fields.items() if not f.description] == []
