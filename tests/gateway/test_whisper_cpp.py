"""`POST /inference`, as whisper.cpp's server has it."""

from __future__ import annotations

from typing import Any

import pytest
from dialogue import ANN, BOB, dialogue
from flask.testing import FlaskClient
from gateway_errors import assert_error
from older_calls import ending, post
from work import TRANSCRIPT, meanwhile, newest

from gateway.services import Services
from shared.transcript import Transcript

PATH = "/inference"


def ask(
    client: FlaskClient,
    services: Services,
    audio: bytes,
    transcript: Transcript = TRANSCRIPT,
    **fields: str,
) -> Any:
    """What a form is answered whose job gives a transcript."""
    with meanwhile(services, ending(services, transcript)):
        return post(client, PATH, audio, **fields)


def test_the_form_of_its_readme_is_answered_with_the_text(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    fields = {"temperature": "0.0", "temperature_inc": "0.2", "prompt": "Longhand"}

    answer = ask(
        client, services, speech, carry_initial_prompt="true", response_format="json", **fields
    )

    record = newest(services)
    assert (answer.status_code, answer.get_json()) == (200, {"text": " Good morning.\n"})
    assert answer.headers["Location"] == f"/jobs/{record.id}"
    request = record.request
    assert (request.prompt, request.hotwords) == (None, "Longhand")
    assert (request.temperature, request.temperature_increment) == (0.0, 0.2)


@pytest.mark.parametrize(
    ("wanted", "media_type", "begins"),
    [
        ("text", "text/plain", " Good morning.\n"),
        ("srt", "application/x-subrip", "1\n00:00:00,123 --> 00:00:00,500\nGood"),
        ("vtt", "text/vtt", "WEBVTT\n\n00:00:00.123"),
    ],
)
def test_text_and_subtitles_are_answered_as_such(
    client: FlaskClient,
    services: Services,
    speech: bytes,
    wanted: str,
    media_type: str,
    begins: str,
) -> None:
    answer = ask(client, services, speech, response_format=wanted)

    assert answer.mimetype == media_type
    assert answer.text.startswith(begins)


def test_verbose_json_has_segments_words_and_the_language(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    answer = ask(client, services, speech, dialogue(), response_format="verbose_json", diarize="1")

    value = answer.get_json()
    assert (value["language"], value["detected_language"]) == ("english", "english")
    assert value["language_probabilities"] == {"en": 0.98}
    assert value["text"] == f"(speaker 0){ANN}\n(speaker 1){BOB}\n"
    first = value["segments"][0]
    assert (first["id"], first["start"], first["end"], first["speaker"]) == (0, 0.5, 2.3, "0")
    assert first["words"][0] == {"word": " Good", "start": 0.5, "end": 0.8, "probability": 0.9}
    options = newest(services).request
    assert (options.diarize, options.word_timestamps) == (True, True)


@pytest.mark.parametrize(
    ("fields", "in_segment", "in_word", "beside"),
    [
        ({"no_timestamps": "true"}, False, False, True),
        ({"token_timestamps": "false"}, True, False, True),
        ({"no_language_probabilities": "true"}, True, True, False),
    ],
)
def test_times_and_probabilities_are_left_out_where_they_are_not_wanted(
    client: FlaskClient,
    services: Services,
    speech: bytes,
    fields: dict[str, str],
    in_segment: bool,
    in_word: bool,
    beside: bool,
) -> None:
    answer = ask(client, services, speech, dialogue(), response_format="verbose_json", **fields)

    value = answer.get_json()
    segment = value["segments"][0]
    found = "start" in segment, "start" in segment["words"][0], "detected_language" in value
    assert found == (in_segment, in_word, beside)


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"translate": "true", "model": "tiny"}, {"task": "translate"}),
        ({"language": "de", "detect_language": "true"}, {"language": None}),
        ({"language": "de"}, {"language": "de"}),
        ({"offset_t": "1500"}, {"clip_timestamps": (1.5,)}),
        ({"offset_t": "1500", "duration": "500"}, {"clip_timestamps": (1.5, 2.0)}),
        ({"max_context": "0"}, {"condition_on_previous_text": False}),
        ({"max_context": "-1"}, {"condition_on_previous_text": None}),
        ({"suppress_nst": "false"}, {"suppress_tokens": ()}),
        ({"suppress_nst": "true"}, {"suppress_tokens": (-1,)}),
        ({"no_speech_thold": "0.4"}, {"no_speech_threshold": 0.4}),
        ({"logprob_thold": "-0.5"}, {"logprob_threshold": -0.5}),
        ({"vad_threshold": "0.4", "vad": "true"}, {"vad_onset": 0.4, "vad": True}),
        ({"vad_min_speech_duration_ms": "300"}, {"min_speech_duration_ms": 300}),
        ({"vad_min_silence_duration_ms": "90"}, {"min_silence_duration_ms": 90}),
        ({"vad_speech_pad_ms": "30"}, {"speech_pad_ms": 30}),
        ({"beam_size": "-1", "best_of": "2"}, {"beam_size": 5, "best_of": 2}),
        ({"beam_size": "3"}, {"beam_size": 3}),
        ({"prompt": "Ann"}, {"prompt": "Ann", "hotwords": None}),
    ],
)
def test_its_fields_mean_what_they_mean_there(
    client: FlaskClient,
    services: Services,
    speech: bytes,
    fields: dict[str, str],
    options: dict[str, Any],
) -> None:
    answer = ask(client, services, speech, **fields)

    request = newest(services).request
    assert answer.status_code == 200, answer.text
    assert {name: getattr(request, name) for name in options} == options


def test_cues_are_no_longer_than_max_len(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    answer = ask(client, services, speech, dialogue(), response_format="srt", max_len="12")

    cues = [block.splitlines()[2] for block in answer.text.strip().split("\n\n")]
    assert len(cues) > 3
    assert all(len(cue.partition("]: ")[2] or cue) <= 12 for cue in cues)


def test_fields_that_have_no_effect_are_named(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    answer = ask(client, services, speech, audio_ctx="512", entropy_thold="2.4", max_len="20")

    assert answer.headers["X-Longhand-Ignored"] == "audio_ctx, entropy_thold, max_len"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "mp3"}, "response_format"),
        ({"no_speech_thold": "7"}, "no_speech_thold"),
        ({"temperature": "3"}, "temperature"),
        ({"offset_t": "soon"}, "offset_t"),
    ],
)
def test_a_value_that_is_not_possible_is_refused_by_its_name(
    client: FlaskClient, speech: bytes, fields: dict[str, str], param: str
) -> None:
    answer = post(client, PATH, speech, **fields)

    assert_error(answer, 400, "invalid_request", param, param=param)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("logprob_thold", "logprob_threshold"),
        ("logprob_thold", "log_prob_threshold"),
        ("no_speech_thold", "no_speech_threshold"),
        ("log_prob_threshold", "logprob_threshold"),
    ],
)
def test_an_option_by_two_names_is_refused_by_both(
    client: FlaskClient, speech: bytes, first: str, second: str
) -> None:
    answer = post(client, PATH, speech, **{first: "-0.5" if "log" in first else "0.4", second: "0"})

    wanted = f"field {first!r} was given twice, as {second!r} too"
    assert_error(answer, 400, "invalid_request", wanted, param=second)
