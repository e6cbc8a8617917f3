"""A text by the phrase-book is never shown without saying so, at any route."""

from __future__ import annotations

import io
import json

import pytest
from flask.testing import FlaskClient
from openai_calls import post as post_openai
from work import TRANSCRIPT, meanwhile, succeed, upload

from gateway.services import Services
from shared.formats import FORMATS
from shared.phrase_book import WARNING, WARNING_CODE
from shared.transcript import Warned

HEADER = "X-Longhand-Warnings"
SHOWN = {"code": WARNING_CODE, "message": WARNING}
MADE_UP = TRANSCRIPT.model_copy(update={"warnings": (Warned(**SHOWN),)})


@pytest.fixture
def job_id(client: FlaskClient, services: Services, speech: bytes) -> str:
    """A job whose text the phrase-book wrote."""
    made: str = upload(client, speech).get_json()["job_id"]
    succeed(services, made, MADE_UP)
    return made


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "rttm"])
def test_a_header_says_it_in_every_format(client: FlaskClient, job_id: str, name: str) -> None:
    answer = client.get(f"/jobs/{job_id}/result?format={name}")

    assert (answer.status_code, answer.headers[HEADER]) == (200, WARNING_CODE)


def test_the_job_and_every_list_of_jobs_say_it(client: FlaskClient, job_id: str) -> None:
    assert client.get(f"/jobs/{job_id}").get_json()["warnings"] == [SHOWN]
    assert client.get("/jobs").get_json()["jobs"][0]["warnings"] == [SHOWN]
    assert client.get(f"/jobs/{job_id}/result").get_json()["warnings"] == [SHOWN]


def test_the_segments_say_it_while_the_job_runs(client: FlaskClient, speech: bytes) -> None:
    running = upload(client, speech, model="demo").get_json()["job_id"]
    other = upload(client, speech, model="base").get_json()["job_id"]

    assert client.get(f"/jobs/{running}/segments").headers[HEADER] == WARNING_CODE
    assert HEADER not in client.get(f"/jobs/{other}/segments").headers


def test_kinds_are_named_once_and_nothing_where_there_are_none(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    named = {}
    for codes in ((), ("a", "b", "a")):
        job_id = upload(client, speech, cache="false").get_json()["job_id"]
        warnings = tuple(Warned(code=code, message="…") for code in codes)
        succeed(services, job_id, TRANSCRIPT.model_copy(update={"warnings": warnings}))
        named[codes] = client.get(f"/jobs/{job_id}/result?format=text").headers.get(HEADER)

    assert named == {(): None, ("a", "b", "a"): "a, b"}


@pytest.mark.parametrize("wanted", ["json", "text", "srt", "vtt", "verbose_json"])
def test_openais_routes_say_it_in_a_header(
    client: FlaskClient, services: Services, speech: bytes, wanted: str
) -> None:
    with meanwhile(services, lambda record: succeed(services, record.id, MADE_UP)):
        answer = post_openai(client, speech, response_format=wanted)

    assert (answer.status_code, answer.headers[HEADER]) == (200, WARNING_CODE)


def test_a_stream_says_it_in_its_header_and_in_its_last_event(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    answer = post_openai(client, speech, stream="true")
    with meanwhile(services, lambda record: succeed(services, record.id, MADE_UP)):
        body = answer.get_data(as_text=True)

    assert answer.headers[HEADER] == WARNING_CODE
    assert json.loads(body.split("data: ")[-2])["warnings"] == [SHOWN]


@pytest.mark.parametrize("path", ["/transcribe", "/recognise", "/asr?output=txt"])
def test_routes_of_older_systems_say_it_in_a_header(
    client: FlaskClient, services: Services, speech: bytes, path: str
) -> None:
    field = "audio_file" if path.startswith("/asr") else "file"
    with meanwhile(services, lambda record: succeed(services, record.id, MADE_UP)):
        answer = client.post(path, data={field: (io.BytesIO(speech), "talk.wav")})

    assert (answer.status_code, answer.headers[HEADER]) == (200, WARNING_CODE)
