"""OpenAI's routes where other services have them, and audio within JSON."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from gateway_process import GatewayProcess, call
from openai_calls import post
from work import meanwhile, newest, succeed

from gateway.openai import inline
from gateway.services import Services

PATH = "/v1/audio/transcriptions"
AZURE = "/openai/deployments/{}/audio/{}?api-version=2024-06-01"
PATHS = [
    "/audio/{}",
    "/openai/v1/audio/{}",
    "/openai/deployments/whisper/audio/{}?api-version=2024-06-01",
]


def inline_body(audio: bytes, **more: Any) -> dict[str, Any]:
    """A JSON body with audio as text."""
    return {"input_audio": {"data": base64.b64encode(audio).decode(), "format": "wav"}, **more}


@pytest.mark.parametrize("path", PATHS)
def test_audio_is_transcribed_where_other_services_have_the_route(
    client: FlaskClient, services: Services, speech: bytes, path: str
) -> None:
    path = path.format("transcriptions")
    with meanwhile(services, lambda record: succeed(services, record.id)):
        answer = post(client, speech, path)
    refused = post(client, b"words, words, words", path)
    nothing = client.get(path)

    assert (answer.status_code, answer.get_json()["text"]) == (200, "Good morning.")
    assert (refused.status_code, nothing.status_code) == (400, 405)
    for error in (refused.get_json()["error"], nothing.get_json()["error"]):
        assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", PATHS)
def test_translations_are_there_too(
    client: FlaskClient, live_worker: Callable[..., None], speech: bytes, path: str
) -> None:
    live_worker("demo", "tiny")
    answer = post(client, speech, path.format("translations"), model="demo")

    assert answer.status_code == 400  # this model only transcribes
    assert "'demo' can only transcribe" in answer.get_json()["error"]["message"]


@pytest.mark.parametrize("path", ["/openai/v1/models", "/openai/models?api-version=2024-06-01"])
def test_models_are_listed_where_other_services_list_them(client: FlaskClient, path: str) -> None:
    base, _, query = path.partition("?")
    listed = client.get(path).get_json()
    found = client.get(f"{base}/openai/whisper-tiny?{query}").get_json()

    assert listed == client.get("/v1/models").get_json()
    assert (found["id"], found["object"]) == ("openai/whisper-tiny", "model")
    assert "success" in client.get("/models").get_json()  # which is ours


@pytest.mark.parametrize(
    ("deployment", "fields", "model", "warns"),
    [
        ("tiny", {}, "tiny", False),
        ("whisper-tiny", {"model": ""}, "whisper-tiny", False),
        ("our-speech", {}, None, True),
        ("tiny", {"model": "base"}, "base", False),
    ],
)
def test_the_name_of_azures_deployment_is_the_model_where_none_is_named(
    client: FlaskClient,
    services: Services,
    speech: bytes,
    deployment: str,
    fields: dict[str, str],
    model: str | None,
    warns: bool,
) -> None:
    path = AZURE.format(deployment, "transcriptions")
    with meanwhile(services, lambda record: succeed(services, record.id)):
        answer = post(client, speech, path, **fields)

    record = newest(services)
    assert record is not None and record.request.model == model
    assert ("model_replaced" in answer.headers["X-Longhand-Warnings"]) is warns


def test_azures_key_lets_in(site: FlaskClient, make_key: Callable[..., str], speech: bytes) -> None:
    path = AZURE.format("whisper", "transcriptions")
    form = {"file": (io.BytesIO(speech), "a.wav"), "stream": "true"}
    let_in = site.post(path, data=form, headers={"api-key": make_key("bob")})
    let_in.close()

    refused = site.post(path, headers={"api-key": "lh_wrong"})

    assert (let_in.status_code, refused.status_code) == (200, 401)
    assert refused.get_json()["error"]["type"] == "authentication_error"


def test_what_is_too_large_is_refused_from_the_header_in_openais_shape(
    start_gateway: Callable[..., GatewayProcess],
) -> None:
    gateway = start_gateway(max_audio_bytes=1000)
    told = []
    for path in (p.format("transcriptions") for p in PATHS):
        status, value, _ = call(gateway, "POST", path, b"x" * 200_000)
        told.append((status, value["error"]["code"]))  # type: ignore[index]

    assert told == [(413, "audio_too_large")] * len(PATHS)


@pytest.mark.parametrize("path", [PATH, *(path.format("transcriptions") for path in PATHS)])
def test_audio_within_json_is_transcribed(
    client: FlaskClient, services: Services, speech: bytes, path: str
) -> None:
    body = inline_body(
        speech,
        model="tiny",
        language="en",
        response_format="verbose_json",
        timestamp_granularities=["word"],
        temperature=0,
        user=None,
        purpose={"any": 1},
    )
    with meanwhile(services, lambda record: succeed(services, record.id)):
        answer = client.post(path, json=body)

    record = newest(services)
    assert record is not None
    assert (answer.status_code, answer.get_json()["text"]) == (200, "Good morning.")
    assert (record.request.model, record.request.language) == ("tiny", "en")
    assert record.request.word_timestamps
    assert (record.audio.n_bytes, record.audio.filename) == (len(speech), "audio.wav")
    assert answer.headers["X-Longhand-Ignored"] == "purpose"


def test_a_data_url_and_lines_are_taken_as_well(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    data = "data:audio/wav;base64," + base64.encodebytes(speech).decode()
    with meanwhile(services, lambda record: succeed(services, record.id)):
        answer = client.post(PATH, json={"input_audio": {"data": data}, "model": "whisper-1"})

    record = newest(services)
    assert record is not None and answer.status_code == 200
    assert (record.audio.n_bytes, record.audio.filename) == (len(speech), "audio")


def test_audio_within_json_can_be_streamed(client: FlaskClient, speech: bytes) -> None:
    answer = client.post(PATH, json=inline_body(speech, stream=True))
    answer.close()

    assert (answer.status_code, answer.mimetype) == (200, "text/event-stream")


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({}, "input_audio", "no audio was sent; send it as input_audio"),
        ({"input_audio": "UklGRg=="}, "input_audio", "no audio was sent"),
        ({"input_audio": {}}, "input_audio.data", "is missing"),
        ({"input_audio": {"data": 7}}, "input_audio.data", "is missing"),
        ({"input_audio": {"data": "not base64!"}}, "input_audio.data", "is not base64"),
        ({"input_audio": {"data": "UklGR"}}, "input_audio.data", "is not base64"),
        ({"input_audio": {"data": ""}}, "input_audio.data", "is empty"),
        ({"input_audio": {"data": "d29yZHM=", "format": "../x"}}, "input_audio.format", "a word"),
        ({"input_audio": {"data": "d29yZHM="}}, "input_audio.data", "audio"),
        ({"input_audio": {"data": "d29yZHM="}, "temperature": 7}, "temperature", "temperature"),
        ({"input_audio": {"data": "d29yZHM="}, "response_format": 3}, "response_format", "is 3"),
        ({"input_audio": {"data": "d29yZHM="}, "language": ["en"]}, "language", "language"),
    ],
)
def test_what_is_wrong_with_a_json_body_is_named_and_nothing_is_kept(
    client: FlaskClient,
    stored_files: Callable[[], list[str]],
    body: dict[str, Any],
    param: str,
    words: str,
) -> None:
    answer = client.post(PATH, json=body)

    error = answer.get_json()["error"]
    assert (answer.status_code, error["param"]) == (400, param), error
    assert words in error["message"]
    assert stored_files() == []


@pytest.mark.parametrize("data", ["{", "[]", '"audio"', "{}x"])
def test_what_is_no_json_object_is_refused(client: FlaskClient, data: str) -> None:
    answer = client.post(PATH, data=data, content_type="application/json")

    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "invalid_request")


def test_audio_within_json_has_the_limits_of_the_site_and_of_such_a_body(
    make_client: Callable[..., FlaskClient], speech: bytes, stored_files: Callable[[], list[str]]
) -> None:
    client = make_client(max_audio_bytes=len(speech) - 1)
    long = client.post(PATH, json=inline_body(speech))
    huge = client.post(PATH, data=b"{" + b" " * inline.MOST_BYTES, content_type="application/json")

    assert (long.status_code, huge.status_code) == (413, 413)
    assert long.get_json()["error"]["param"] == "input_audio.data"
    assert "LONGHAND_MAX_AUDIO_BYTES" in long.get_json()["error"]["message"]
    assert huge.get_json()["error"]["param"] == "input_audio"
    assert "send it as a multipart form" in huge.get_json()["error"]["message"]
    assert stored_files() == []
