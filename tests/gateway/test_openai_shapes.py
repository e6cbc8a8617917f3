"""What OpenAI's routes answer is what OpenAI's own client models say, strictly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest
from flask.testing import FlaskClient
from openai.types import AudioModel, Model
from openai.types.audio import (
    Transcription,
    TranscriptionDiarized,
    TranscriptionVerbose,
    Translation,
    TranslationVerbose,
)
from openai_calls import post, validate
from pydantic import BaseModel
from werkzeug.test import TestResponse
from work import DIALOG, SEGMENT, TRANSCRIPT, meanwhile, newest, succeed

from gateway.answering.shapes import openai as shapes
from gateway.services import Services
from shared.transcript import SpeakerTurn, Transcript


def answered(
    client: FlaskClient,
    services: Services,
    audio: bytes,
    transcript: Transcript = TRANSCRIPT,
    **fields: Any,
) -> TestResponse:
    """The answer to a transcription whose result is this transcript."""
    with meanwhile(services, lambda record: succeed(services, record.id, transcript)):
        response = post(client, audio, **fields)
    assert response.status_code == 200, response.text
    return response


def test_json_is_a_transcription(client: FlaskClient, services: Services, speech: bytes) -> None:
    value = answered(client, services, speech, model="whisper-1").get_json()

    validate(value, Transcription, shapes.Text)
    assert value == {
        "text": "Good morning.",
        "usage": {"type": "duration", "seconds": 0.5},
    }


def test_log_probabilities_are_those_of_the_words(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    value = answered(client, services, speech, include_list="logprobs").get_json()

    validate(value, Transcription, shapes.Text)
    assert value["logprobs"] == [
        {"token": " Good", "logprob": -0.105361, "bytes": [32, 71, 111, 111, 100]}
    ]


@pytest.mark.promise("S1-07", "S1-09", "C-19", "C-22")
@pytest.mark.parametrize(
    ("fields", "has_words", "aligned"),
    [
        ({}, True, False),
        ({"timestamp_granularities_list": "word"}, True, None),
        ({"timestamp_granularities": "word"}, True, None),
        ({"timestamp_granularities_list": ["segment", "word"]}, True, None),
        ({"timestamp_granularities": "segment,word"}, True, None),
        ({"timestamp_granularities_list": "segment"}, False, None),
    ],
)
def test_verbose_json_is_a_verbose_transcription(
    client: FlaskClient,
    services: Services,
    speech: bytes,
    fields: dict[str, Any],
    has_words: bool,
    aligned: bool | None,
) -> None:
    value = answered(client, services, speech, response_format="verbose_json", **fields).get_json()

    validate(value, TranscriptionVerbose, shapes.Verbose)
    record = newest(services)
    assert record is not None
    assert (record.request.word_timestamps, record.request.align) == (has_words, aligned)
    words = [{"word": "Good", "start": 0.123, "end": 0.3}] if has_words else None
    assert (value["language"], value["duration"], value.get("words")) == ("en", 0.5, words)
    assert [segment["text"] for segment in value["segments"]] == [" Good morning."]
    assert (value["model"], [w["code"] for w in value["warnings"]]) == ("demo", ["quiet"])


@pytest.mark.promise("C-14")
def test_a_language_is_named_as_openai_does_where_that_is_asked_for(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    fields = {"response_format": "verbose_json", "language_format": "name"}

    assert answered(client, services, speech, **fields).get_json()["language"] == "english"


def test_diarized_json_is_a_diarized_transcription(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    who = ("SPEAKER_01", "Ann", None, "SPEAKER_00", "SPEAKER_01")
    said = tuple(
        SEGMENT.model_copy(update={"speaker": name, "start": n / 10, "end": n / 10 + 0.1})
        for n, name in enumerate(who)
    )
    dialog = DIALOG.model_copy(
        update={"segments": said, "turns": (SpeakerTurn(speaker="Ann", start=0, end=1),)}
    )

    value = answered(client, services, speech, dialog, response_format="diarized_json").get_json()

    validate(value, TranscriptionDiarized, shapes.Diarized)
    record = newest(services)
    assert record is not None and record.request.diarize
    assert [s["speaker"] for s in value["segments"]] == ["A", "Ann", "unknown", "B", "A"]


@pytest.mark.promise("S0-14")
@pytest.mark.parametrize(
    ("wanted", "media_type", "begins"),
    [
        ("text", "text/plain", "Good morning.\n"),
        ("srt", "application/x-subrip", "1\n00:00:00,123 --> 00:00:00,500\nGood morning."),
        ("vtt", "text/vtt", "WEBVTT\n\n00:00:00.123 --> 00:00:00.500\nGood morning."),
    ],
)
def test_what_is_no_json_is_the_text_itself(
    client: FlaskClient,
    services: Services,
    speech: bytes,
    wanted: str,
    media_type: str,
    begins: str,
) -> None:
    response = answered(client, services, speech, response_format=wanted)

    assert response.mimetype == media_type
    assert response.text.startswith(begins)


@pytest.mark.parametrize(
    ("wanted", "theirs", "ours"),
    [("json", Translation, shapes.Text), ("verbose_json", TranslationVerbose, shapes.Verbose)],
)
def test_a_translation_is_openais(
    services: Services,
    make_client: Callable[..., FlaskClient],
    speech: bytes,
    wanted: str,
    theirs: type[BaseModel],
    ours: type[BaseModel],
) -> None:
    english = TRANSCRIPT.model_copy(update={"task": "translate", "language": "zh"})
    value = answered(
        make_client(),
        services,
        speech,
        english,
        path="/v1/audio/translations",
        model="tiny",
        response_format=wanted,
    ).get_json()

    validate(value, theirs, ours)
    record = newest(services)
    assert record is not None and record.request.task == "translate"
    assert value.get("language", "en") == "en" and "usage" not in value


def test_models_are_openais(client: FlaskClient, live_worker: Callable[..., None]) -> None:
    live_worker("demo")

    listed = client.get("/v1/models").get_json()
    found = client.get("/v1/models/whisper-1").get_json()

    shapes.ModelList.model_validate(listed, strict=True)
    for value in (*listed["data"], found):
        validate(value, Model, shapes.Model)
    assert [value["id"] for value in listed["data"]] == ["demo"]
    assert found["id"] == "whisper-1"


@pytest.mark.parametrize("name", get_args(AudioModel))
def test_every_model_that_openais_clients_name_means_the_sites_own(
    client: FlaskClient, services: Services, speech: bytes, name: str
) -> None:
    response = answered(client, services, speech, model=name)

    assert response.headers["X-Longhand-Model"] == "demo"
    assert client.get(f"/v1/models/{name}").get_json()["id"] == name


def test_a_models_name_may_hold_slashes(client: FlaskClient) -> None:
    name = "Systran/faster-whisper-small"

    for written in (name, name.replace("/", "%2F")):
        assert client.get(f"/v1/models/{written}").get_json()["id"] == name


@pytest.mark.parametrize("name", ["a%0Ab", "a%0D%0A", "%2Fetc", "a%2F%2Fb", "%20"])
def test_a_model_of_any_name_is_asked_for_in_vain(client: FlaskClient, name: str) -> None:
    for path in ("/v1/models", "/openai/v1/models"):
        answer = client.get(f"{path}/{name}")

        assert answer.status_code == 404
        assert answer.get_json()["error"]["code"] == "model_not_found"
