"""The options of a job as forms and queries write them, and voices that come along."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import clips
import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.test import TestResponse, encode_multipart
from work import SEGMENT, newest, succeed, upload

from gateway.services import Services
from shared.jobs.chunks import KeptChunk
from shared.request import TranscriptionRequest
from shared.wire import ALIASES


def request_of(services: Services) -> TranscriptionRequest:
    record = newest(services)
    assert record is not None
    return record.request


@pytest.mark.parametrize(
    ("name", "written", "expected"),
    [
        ("beam_size", "3", 3),
        ("suppress_tokens", "-1,13,11", (-1, 13, 11)),
        ("suppress_tokens", "", ()),
        ("clip_timestamps", "0,10.5,20", (0, 10.5, 20)),
        ("logprob_threshold", "none", None),
        ("compression_ratio_threshold", "None", None),
        ("vad", "false", False),
        ("chunk_size", "12.5", 12.5),
        ("align", "true", True),
        ("multilingual", "on", True),
        ("hotwords", "Ann Bo", "Ann Bo"),
        ("hotwords", "", None),
        ("align_model", " ", None),
        ("speaker_names", '{"SPEAKER_00": "Ann"}', {"SPEAKER_00": "Ann"}),
    ],
)
def test_options_are_read_from_text(
    client: FlaskClient, services: Services, speech: bytes, name: str, written: str, expected: Any
) -> None:
    assert upload(client, speech, **{name: written}).status_code == 202
    assert getattr(request_of(services), name) == expected


@pytest.mark.parametrize(
    ("name", "written", "message"),
    [
        ("beam_size", "0", "beam_size is 0; it must be at least 1"),
        ("suppress_tokens", "1,x", "must be a whole number"),
        ("clip_timestamps", "5,3", "clip_timestamps must be rising seconds from 0"),
        ("logprob_threshold", "0.5", "must be at most 0"),
        ("chunk_size", "31", "chunk_size is 31; it must be at most 30"),
        ("vad_method", "energy", "must be 'silero' or 'pyannote'"),
        ("speaker_names", "[1]", "must be a JSON object"),
        ("speaker_names", '{"SPEAKER_00": 3}', "speaker_names"),
        ("num_speakers", "0", "num_speakers is 0; it must be at least 1"),
        ("temperature_increment", "0.0001", "temperature_increment is 0.0001; it must be 0 or"),
        ("clip_timestamps", "0,nan", "must be a finite number"),
        ("compression_ratio_threshold", "inf", "must be a finite number"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_name(
    client: FlaskClient, speech: bytes, name: str, written: str, message: str
) -> None:
    response = upload(client, speech, **{name: written})

    assert_error(response, 400, "invalid_request", message, param=name)


def test_fewer_speakers_than_at_least_are_refused(client: FlaskClient, speech: bytes) -> None:
    response = upload(client, speech, min_speakers="3", max_speakers="2")

    assert_error(response, 400, "invalid_request", "min_speakers is 3, more than max_speakers")


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_other_systems_names_of_options_are_understood(
    client: FlaskClient, services: Services, speech: bytes, alias: str, name: str
) -> None:
    value: dict[str, str] = {"prompt": "Ann", "vad": "false", "speaker_embeddings": "true"}
    written = value.get(name, "-0.5" if name == "logprob_threshold" else "0.5")
    default = TranscriptionRequest.model_fields[name].default

    assert upload(client, speech, **{alias: written}).status_code == 202
    assert getattr(request_of(services), name) != default


def test_an_option_that_cannot_be_is_named_as_it_was_sent(
    client: FlaskClient, speech: bytes
) -> None:
    response = upload(client, speech, vad_filter="maybe")

    message = "vad_filter is 'maybe'; it must be true or false"
    assert_error(response, 400, "invalid_request", message, param="vad_filter")


def test_an_option_given_by_both_its_names_is_refused(client: FlaskClient, speech: bytes) -> None:
    response = upload(client, speech, prompt="a", initial_prompt="b")

    assert_error(response, 400, "invalid_request", "field 'prompt' was given twice")


def voice(seconds: float = 3.0) -> str:
    return "data:audio/wav;base64," + base64.b64encode(clips.wav(seconds)).decode()


def send(client: FlaskClient, speech: bytes, names: list[str], voices: list[str]) -> TestResponse:
    file = FileStorage(io.BytesIO(speech), "talk.wav")
    form: dict[str, Any] = {"file": file, "diarize": "true"}
    form |= {"known_speaker_names[]": names, "known_speaker_references[]": voices}
    # As bytes: of a large form the test client itself would leave a file open.
    boundary, body = encode_multipart(MultiDict(form))
    kind = f"multipart/form-data; boundary={boundary}"
    return client.post("/transcribe/file", data=body, content_type=kind)


def test_known_voices_are_stored_beside_the_audio_and_shown_to_nobody(
    client: FlaskClient, services: Services, speech: bytes, stored_files: Callable[[], list[str]]
) -> None:
    response = send(client, speech, ["Ann", "Bo", "Ann"], [voice(), voice(4), voice(5)])
    job_id = response.get_json()["job_id"]
    request = request_of(services)

    assert request.known_speaker_names == ("Ann", "Bo", "Ann")
    keys = [f"jobs/{job_id}/voices/{n}" for n in (0, 1, 2)]
    assert list(request.known_speaker_references) == keys
    assert [services.storage.read(key) for key in keys] == [clips.wav(n) for n in (3, 4, 5)]
    shown = client.get(f"/jobs/{job_id}").get_json()["request"]
    assert shown["known_speaker_names"] == ["Ann", "Bo", "Ann"]
    assert "known_speaker_references" not in shown
    client.delete(f"/jobs/{job_id}")
    assert stored_files() == []


@pytest.mark.parametrize(
    ("names", "voices", "message"),
    [
        (["Ann"], [], "there are 1 known_speaker_names but 0 known_speaker_references"),
        (
            [f"Ann {n}" for n in range(11)],
            [voice()] * 11,
            "known_speaker_names names 11 people; the limit is 10",
        ),
        (["Ann"] * 21, [voice()] * 21, "known_speaker_names"),
        (["Ann"], ["https://example.org/a.wav"], "the voice of 'Ann' is no recording"),
        (["Ann"], ["data:audio/wav;base64,***"], "the voice of 'Ann' is not base64"),
        (["Ann"], ["data:audio/wav;base64,äöü"], "the voice of 'Ann' is not base64"),
        (["Ann"], ["data:audio/wav;base64,aGVsbG8="], "the voice of 'Ann' cannot be read"),
        (["Ann"], [voice(0.2)], "the voice of 'Ann' is 0.2 s long; it must be from 1 to 30 s"),
        (["Ann"], [voice(31)], "the voice of 'Ann' is 31.0 s long"),
    ],
)
def test_a_voice_that_cannot_be_used_is_refused_and_nothing_kept(
    client: FlaskClient,
    speech: bytes,
    stored_files: Callable[[], list[str]],
    names: list[str],
    voices: list[str],
    message: str,
) -> None:
    response = send(client, speech, names, voices)

    assert_error(response, 400, "invalid_request", message)
    assert stored_files() == []


def test_fields_are_limited_in_size(client: FlaskClient, speech: bytes) -> None:
    one = send(client, speech, ["Ann"], ["x" * 16_000_001])
    many = send(client, speech, ["Ann"], ["x" * 3_900_000] * 5)

    assert_error(one, 400, "invalid_request", "is over 16000000 bytes long")
    assert_error(many, 400, "invalid_request", "over 16000000 bytes together")


def test_jobs_that_wait_know_their_place(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    ids = [upload(client, speech, cache="false").get_json()["job_id"] for _ in range(3)]

    def place(job_id: str) -> int | None:
        value = client.get(f"/jobs/{job_id}").get_json()["queue_position"]
        assert value is None or isinstance(value, int)
        return value

    before = [place(job_id) for job_id in ids]
    succeed(services, ids[0])

    assert before == [1, 2, 3]
    assert [place(job_id) for job_id in ids] == [None, 1, 2]


def test_segments_can_be_read_while_a_job_runs_and_after(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    job_id = upload(client, speech).get_json()["job_id"]
    url = f"/jobs/{job_id}/segments"
    queued = client.get(url).get_json()
    assert services.jobs.runs.claim(job_id, 1, "w1")
    services.jobs.runs.chunks.begin(job_id, 1, "plan")
    later = SEGMENT.model_copy(update={"text": " Later.", "start": 9.0, "end": 10.0})
    for index, segment in ((1, later), (0, SEGMENT)):
        services.jobs.runs.chunks.keep(
            job_id, 1, index, KeptChunk(language="en", segments=(segment,))
        )
    services.jobs.runs.report(job_id, 1, {"progress": 0.5, "eta_s": 12.5})
    running = client.get(url).get_json()
    shown = client.get(f"/jobs/{job_id}").get_json()
    assert services.jobs.cancel(job_id)
    cancelled = client.get(url)

    assert (queued["status"], queued["segments"]) == ("queued", [])
    assert (running["status"], running["progress"]) == ("running", 0.5)
    assert [(s["id"], s["text"], s["start"]) for s in running["segments"]] == [
        (0, " Good morning.", 0.123),
        (1, " Later.", 9.0),
    ]
    assert shown["eta_s"] == 12.5
    assert_error(cancelled, 409, "job_cancelled", "the job was cancelled")


def test_all_segments_are_there_once_the_job_succeeded(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    job_id = upload(client, speech).get_json()["job_id"]
    succeed(services, job_id)

    found = client.get(f"/jobs/{job_id}/segments").get_json()
    assert (found["status"], [s["text"] for s in found["segments"]]) == (
        "succeeded",
        [" Good morning."],
    )


def test_segments_of_no_job_are_not_found(client: FlaskClient) -> None:
    assert_error(client.get("/jobs/nope/segments"), 404, "job_not_found", "there is no job 'nope'")


def test_a_model_that_never_learned_it_is_not_asked_to_translate(
    client: FlaskClient, speech: bytes
) -> None:
    response = upload(client, speech, model="turbo", task="translate")

    message = "model 'large-v3-turbo' can only transcribe; those that translate: tiny, base, small"
    assert_error(response, 400, "invalid_request", message, param="task")


def test_a_model_of_another_engine_is_not_available(client: FlaskClient, speech: bytes) -> None:
    response = upload(client, speech, model="qwen3:1.7b")

    assert_error(response, 400, "engine_not_available", "needs the engine 'qwen3'", param="model")


@pytest.mark.parametrize(
    ("model", "language", "says"),
    [("tiny.en", "zh", "knows English alone"), ("small", "yue", "does not know Cantonese")],
)
def test_a_model_is_not_asked_for_a_language_it_does_not_know(
    client: FlaskClient, speech: bytes, model: str, language: str, says: str
) -> None:
    response = upload(client, speech, model=model, language=language)

    assert_error(response, 400, "invalid_request", says, param="language")


@pytest.mark.parametrize("model", ["large-v3", "turbo"])
def test_the_newest_models_know_cantonese(client: FlaskClient, speech: bytes, model: str) -> None:
    assert upload(client, speech, model=model, language="Cantonese").status_code == 202
