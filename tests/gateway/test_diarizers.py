"""Who cannot be told who speaks is told so before a job is made."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from werkzeug.test import TestResponse
from work import newest, upload

from gateway.services import Services

LiveWorker = Callable[..., None]
Send = Callable[..., TestResponse]

SITE, OTHER = "pyannote/speaker-diarization-community-1", "pyannote/speaker-diarization-3.1"
WHY = "it is not on this worker; to have it fetched set LONGHAND_HF_TOKEN"


def _native(client: FlaskClient, speech: bytes, **fields: str) -> TestResponse:
    return upload(client, speech, **fields)


def _binary(client: FlaskClient, speech: bytes, **fields: str) -> TestResponse:
    return client.post("/transcribe/binary", query_string=fields, data=speech)


def _batch(client: FlaskClient, speech: bytes, **fields: str) -> TestResponse:
    form = {**fields, "files[]": [(io.BytesIO(speech), "a.wav"), (io.BytesIO(speech), "b.wav")]}
    return client.post("/transcribe/batch", data=form)


def _older(client: FlaskClient, speech: bytes, **fields: str) -> TestResponse:
    form = {**fields, "file": (io.BytesIO(speech), "a.wav")}
    return client.post("/transcribe", data=form)


def _asr(client: FlaskClient, speech: bytes, **fields: str) -> TestResponse:
    form = {"audio_file": (io.BytesIO(speech), "a.wav")}
    return client.post("/asr", query_string=fields, data=form)


def _openai(client: FlaskClient, speech: bytes, **fields: str) -> TestResponse:
    form = {**fields, "file": (io.BytesIO(speech), "a.wav")}
    return client.post("/v1/audio/transcriptions", data=form)


OURS = [_native, _binary, _batch, _older, _asr]


@pytest.mark.parametrize("send", OURS)
def test_a_diarizer_that_nobody_has_is_refused_on_every_route(
    client: FlaskClient,
    services: Services,
    live_worker: LiveWorker,
    speech: bytes,
    stored_files: Callable[[], list[str]],
    send: Send,
) -> None:
    live_worker("demo", diarization_model=SITE, diarizers=(SITE, "demo-diarization"))

    response = send(client, speech, diarize="true", diarize_model="house-voices")

    assert_error(
        response, 404, "model_not_found", "can diarize by 'house-voices'", param="diarize_model"
    )
    assert f"they have demo-diarization, {SITE}" in response.get_json()["error"]
    assert newest(services) is None
    assert stored_files() == []


@pytest.mark.parametrize("send", OURS)
def test_where_nobody_can_diarize_the_reason_is_given_on_every_route(
    client: FlaskClient,
    services: Services,
    live_worker: LiveWorker,
    speech: bytes,
    stored_files: Callable[[], list[str]],
    send: Send,
) -> None:
    live_worker("demo", "base", diarization_model=SITE, diarizers=(), diarizer_problems={SITE: WHY})

    response = send(client, speech, diarize="true", model="base")

    assert_error(response, 404, "model_not_found", f"can say who speaks: {WHY}", param="diarize")
    assert newest(services) is None
    assert stored_files() == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "diarized_json", "model": "whisper-1"}, "diarize"),
        ({"diarize": "true", "diarize_model": "house-voices", "model": "base"}, "diarize_model"),
    ],
)
def test_openais_routes_refuse_it_in_their_own_shape(
    client: FlaskClient,
    services: Services,
    live_worker: LiveWorker,
    speech: bytes,
    fields: dict[str, str],
    param: str,
) -> None:
    live_worker("demo", "base", diarization_model=SITE, diarizers=())

    response = _openai(client, speech, **fields)

    error = response.get_json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", param)
    assert newest(services) is None


def test_a_name_that_could_lead_elsewhere_is_refused(
    client: FlaskClient, live_worker: LiveWorker, speech: bytes
) -> None:
    live_worker("demo", diarization_model=SITE, diarizers=(SITE,))

    response = upload(client, speech, diarize="true", diarize_model="../secret")

    assert_error(response, 404, "model_not_found", "'../secret'", param="diarize_model")


def test_the_reason_for_a_diarizer_that_was_chosen_is_given(
    client: FlaskClient, live_worker: LiveWorker, speech: bytes
) -> None:
    live_worker("demo", diarization_model=SITE, diarizers=(SITE,), diarizer_problems={OTHER: WHY})

    response = upload(client, speech, diarize="true", diarize_model=OTHER)

    assert_error(response, 404, "model_not_found", WHY, param="diarize_model")


def test_one_worker_that_can_is_enough(
    client: FlaskClient, services: Services, live_worker: LiveWorker, speech: bytes
) -> None:
    live_worker("demo", name="w1", diarization_model=SITE, diarizers=())
    live_worker("demo", name="w2", diarization_model=OTHER, diarizers=("own", OTHER))

    assert upload(client, speech, diarize="true", diarize_model="own").status_code == 202
    assert upload(client, speech, diarize="true", diarize_model=SITE).status_code == 404


def test_one_worker_has_to_have_both_models(
    client: FlaskClient, live_worker: LiveWorker, speech: bytes
) -> None:
    live_worker("base", name="w1", diarization_model=SITE, diarizers=())
    live_worker("tiny", name="w2", diarization_model=SITE, diarizers=(SITE,))

    assert upload(client, speech, model="tiny", diarize="true").status_code == 202
    assert_error(
        upload(client, speech, model="base", diarize="true"),
        404, "model_not_found", "none has a diarization model", param="diarize",
    )  # fmt: skip


def test_the_diarizer_that_goes_with_a_model_is_the_one_that_counts(
    client: FlaskClient, live_worker: LiveWorker, speech: bytes
) -> None:
    live_worker("demo", "base", diarization_model=SITE, diarizers=("demo-diarization",))

    assert upload(client, speech, model="demo", diarize="true").status_code == 202
    assert upload(client, speech, model="base", diarize="true").status_code == 404


def test_a_job_may_wait_for_a_worker_that_can(client: FlaskClient, speech: bytes) -> None:
    answer = upload(client, speech, diarize="true", diarize_model="house-voices")

    assert answer.status_code == 202


def test_a_worker_that_does_not_tell_is_taken_at_its_word(
    client: FlaskClient, live_worker: LiveWorker, speech: bytes
) -> None:
    live_worker("demo")

    assert upload(client, speech, diarize="true").status_code == 202


def test_requests_without_diarization_are_not_refused(
    client: FlaskClient, live_worker: LiveWorker, speech: bytes
) -> None:
    live_worker("demo", diarization_model=SITE, diarizers=())

    assert upload(client, speech, diarize_model="house-voices").status_code == 202
