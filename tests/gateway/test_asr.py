"""`/asr` and `/detect-language`, as whisper-asr-webservice has them."""

from __future__ import annotations

import io
import re
import struct

import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from older_calls import ending, post
from work import DIALOG, meanwhile, newest

from gateway.answering.shapes import older as shapes
from gateway.services import Services


@pytest.mark.promise("T16")
@pytest.mark.parametrize(
    ("output", "media_type", "begins"),
    [
        ("", "text/plain", "Good morning."),
        ("txt", "text/plain", "Good morning."),
        ("vtt", "text/vtt", "WEBVTT\n"),
        ("srt", "application/x-subrip", "1\n00:00:00,123 --> "),
        ("tsv", "text/tab-separated-values", "start\tend\ttext\n123\t500\tGood"),
    ],
)
def test_asr_answers_with_the_output_that_is_asked_for(
    client: FlaskClient,
    services: Services,
    speech: bytes,
    output: str,
    media_type: str,
    begins: str,
) -> None:
    query = "encode=true&task=transcribe&language=en&word_timestamps=false&vad_filter=true"
    with meanwhile(services, ending(services)):
        answer = post(client, f"/asr?{query}&output={output}", speech, "audio_file")

    assert (answer.status_code, answer.mimetype) == (200, media_type)
    assert answer.get_data(as_text=True).startswith(begins)
    assert answer.headers["Asr-Engine"] == "faster_whisper"
    assert answer.headers["Content-Disposition"].endswith(f".{output or 'txt'}")


@pytest.mark.promise("T16")
def test_asr_takes_every_name_that_speakr_sends(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    query = {
        "encode": "true", "task": "transcribe", "output": "json", "diarize": "true",
        "enable_diarization": "true", "min_speakers": "1", "max_speakers": "3", "language": "en",
        "initial_prompt": "Ann and Bob", "hotwords": "Longhand", "model": "demo",
        "return_speaker_embeddings": "true",
    }  # fmt: skip
    with meanwhile(services, ending(services, DIALOG)):
        answer = client.post(
            "/asr", query_string=query, data={"audio_file": (io.BytesIO(speech), "a.wav")}
        )

    job, value = newest(services), answer.get_json()
    assert job is not None
    assert "X-Longhand-Ignored" not in answer.headers
    assert [segment["speaker"] for segment in value["segments"]] == ["SPEAKER_00"]
    chosen = job.request.chosen()
    assert (chosen["max_speakers"], chosen["prompt"], chosen["hotwords"]) == (
        3, "Ann and Bob", "Longhand",
    )  # fmt: skip
    assert chosen["diarize"] and chosen["speaker_embeddings"]


@pytest.mark.promise("T16")
def test_asr_takes_bare_samples(client: FlaskClient, services: Services) -> None:
    samples = struct.pack("<8000h", *range(8000))
    with meanwhile(services, ending(services)):
        answer = post(client, "/asr?encode=false", samples, "audio_file")

    job = newest(services)
    assert (answer.status_code, job and job.audio.duration_s) == (200, 0.5)


@pytest.mark.promise("T16")
def test_the_language_is_detected_in_the_first_half_minute(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    with meanwhile(services, ending(services)):
        answer = post(client, "/detect-language?encode=true", speech, "audio_file", language="zh")

    job, value = newest(services), answer.get_json()
    shapes.DetectedLanguage.model_validate(value)
    assert (value["detected_language"], value["language_code"]) == ("english", "en")
    assert value["confidence"] == 0.98
    assert job and (job.request.language, job.request.clip_timestamps) == (None, (0.0, 30.0))


@pytest.mark.parametrize("path", ["/asr", "/detect-language"])
def test_bare_samples_that_only_the_form_tells_of_are_refused(
    client: FlaskClient, path: str
) -> None:
    answer = post(client, path, bytes(32_000), "audio_file", encode="false")

    assert_error(answer, 400, "invalid_request", "send encode in the query", param="encode")


def test_a_field_of_another_name_is_no_audio_file(client: FlaskClient, speech: bytes) -> None:
    answer = post(client, "/asr", speech, "file")

    assert_error(answer, 400, "invalid_request", "'audio_file'", param="file")


def test_what_is_no_audio_is_refused_by_the_name_of_its_field(client: FlaskClient) -> None:
    answer = post(client, "/asr", b"words, words, words", "audio_file")

    assert_error(answer, 422, "audio_unreadable", "not audio", param="audio_file")


def test_bazarrs_test_button_finds_a_version(site: FlaskClient) -> None:
    answer = site.get("/status")

    assert answer.status_code == 200  # without a key
    assert re.fullmatch(r"Longhand \d+\.\d+\.\d+", answer.get_json()["version"])
