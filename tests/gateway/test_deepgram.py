"""`POST /v1/listen`, as Deepgram has it for recordings."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from typing import Any
from uuid import UUID

import clips
import pytest
from dialogue import ANN, BOB, dialogue
from flask.testing import FlaskClient
from older_calls import ending
from work import TRANSCRIPT, fail, meanwhile, newest

from gateway.services import Services
from shared.transcript import Transcript

PATH = "/v1/listen"


def ask(
    client: FlaskClient,
    services: Services,
    audio: bytes,
    query: str = "",
    transcript: Transcript = TRANSCRIPT,
) -> Any:
    """What a recording is answered whose job gives a transcript."""
    with meanwhile(services, ending(services, transcript)):
        return client.post(f"{PATH}?{query}", data=audio, content_type="audio/wav")


def refused(answer: Any, status: int, code: str, *words: str) -> dict[str, str]:
    """An error as Deepgram writes it."""
    value: dict[str, str] = answer.get_json()
    assert (answer.status_code, value["err_code"]) == (status, code), value
    assert set(value) <= {"err_code", "err_msg", "request_id", "job_id"}
    assert value["request_id"] == answer.headers["X-Request-Id"]
    assert all(word in value["err_msg"] for word in words), value
    return value


def test_a_recording_is_answered_with_its_text_and_words(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    answer = ask(client, services, speech, "model=nova-3&language=en-US", dialogue())

    value, record = answer.get_json(), newest(services)
    [channel] = value["results"]["channels"]
    [best] = channel["alternatives"]
    assert answer.status_code == 200
    assert (best["transcript"], best["confidence"]) == ((ANN + BOB).strip(), 0.9)
    assert best["words"][1] == {
        "word": "morning", "start": 0.8, "end": 1.1, "confidence": 0.9,
        "punctuated_word": "morning,", "speaker": 0,
    }  # fmt: skip
    assert "paragraphs" not in best
    assert set(value["results"]) == {"channels"}
    about = value["metadata"]
    assert UUID(about["request_id"]).hex == record.id
    assert (about["sha256"], about["channels"]) == (record.audio.sha256, 1)
    assert [about["model_info"][model]["name"] for model in about["models"]] == ["demo"]
    assert answer.headers["Location"] == f"/jobs/{record.id}"
    assert (record.request.language, record.request.word_timestamps) == ("en", True)


def test_a_url_is_fetched(fetching: FlaskClient, services: Services, speech: bytes) -> None:
    with meanwhile(services, ending(services)):
        answer = fetching.post(PATH, json={"url": "https://example.org/talk.wav"})

    assert answer.status_code == 200
    assert newest(services).audio.filename == "talk.wav"


def test_speakers_are_numbers(client: FlaskClient, services: Services, speech: bytes) -> None:
    answer = ask(
        client, services, speech, "diarize=true&utterances=true&paragraphs=true", dialogue()
    )

    results = answer.get_json()["results"]
    best = results["channels"][0]["alternatives"][0]
    assert [word["speaker"] for word in best["words"]] == [0] * 6 + [1] * 4
    assert [(u["speaker"], u["transcript"]) for u in results["utterances"]] == [
        (0, ANN.strip()), (1, BOB.strip()),
    ]  # fmt: skip
    first, second = best["paragraphs"]["paragraphs"]
    assert [s["text"] for s in first["sentences"]] == ["Good morning, Bob.", "It is late."]
    assert [s["text"] for s in second["sentences"]] == ["Dr. Smith said so."]
    assert (first["speaker"], first["num_words"], first["start"], first["end"]) == (0, 6, 0.5, 2.3)
    assert best["paragraphs"]["transcript"] == (
        f"\nSpeaker 0: {ANN.strip()}\n\nSpeaker 1: {BOB.strip()}"
    )
    assert newest(services).request.diarize


@pytest.mark.parametrize(("more", "n_utterances"), [("", 2), ("2.6", 2), ("2.8", 1)])
def test_utterances_are_cut_at_pauses_as_long_as_was_asked(
    client: FlaskClient, services: Services, speech: bytes, more: str, n_utterances: int
) -> None:
    silent = dialogue(has_speakers=False)  # with a pause of 2.7 s

    answer = ask(client, services, speech, f"utterances=true&utt_split={more}", silent)

    assert len(answer.get_json()["results"]["utterances"]) == n_utterances


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "Good morning, Bob. It is late. Dr. Smith said so."),
        ("punctuate=false", "good morning bob it is late dr smith said so"),
        ("punctuate=false&smart_format=true", "Good morning, Bob. It is late. Dr. Smith said so."),
    ],
)
def test_punctuation_is_taken_away_where_it_is_not_wanted(
    client: FlaskClient, services: Services, speech: bytes, query: str, text: str
) -> None:
    answer = ask(client, services, speech, query, dialogue())

    best = answer.get_json()["results"]["channels"][0]["alternatives"][0]
    assert best["transcript"] == text
    assert ("paragraphs" in best) == ("smart_format" in query)
    assert ("punctuated_word" in best["words"][0]) == (query != "punctuate=false")


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", {"language": None, "diarize": False, "align": False}),
        ("diarize=true", {"diarize": True, "align": None}),
        ("diarize_model=latest", {"diarize": True, "diarize_model": None}),
        ("diarize_model=pyannote", {"diarize": True, "diarize_model": "pyannote"}),
        ("language=multi", {"language": None, "multilingual": True}),
        ("language=de&detect_language=true", {"language": None}),
        ("detect_language=de&detect_language=en", {"language": None}),
        ("keywords=Ann:2&keywords=Bob&keywords=Cy:-1", {"hotwords": "Ann, Bob"}),
        ("keyterm=Ann+Lee&keyterm=Bob", {"hotwords": "Ann Lee, Bob"}),
        ("numerals=false", {"suppress_numerals": True}),
        ("numerals=true", {"suppress_numerals": False}),
        ("temperature_increment=0", {"temperature_increment": 0.0}),
        ("model=whisper-large", {"model": "whisper-large"}),
        ("model=nova-2-meeting", {"model": None}),
    ],
)
def test_its_parameters_mean_what_they_mean_there(
    client: FlaskClient,
    services: Services,
    speech: bytes,
    query: str,
    options: dict[str, Any],
) -> None:
    answer = ask(client, services, speech, query)

    request = newest(services).request
    assert answer.status_code == 200, answer.text
    assert {name: getattr(request, name) for name in options} == options


def test_channels_are_not_told_apart_by_voices_too(client: FlaskClient, speech: bytes) -> None:
    answer = client.post(f"{PATH}?multichannel=true&diarize=true", data=speech)

    refused(answer, 400, "Bad Request", "multichannel", "diarize")


def test_channels_are_told_one_by_one(client: FlaskClient, services: Services) -> None:
    answer = ask(
        client, services, clips.wav(0.5, n_channels=2), "multichannel=true&utterances=true",
        dialogue(),
    )  # fmt: skip

    value = answer.get_json()
    first, second = (c["alternatives"][0] for c in value["results"]["channels"])
    assert (first["transcript"], second["transcript"]) == (BOB.strip(), ANN.strip())
    assert "speaker" not in first["words"][0]
    told = [(u["channel"], u["transcript"]) for u in value["results"]["utterances"]]
    assert told == [(1, ANN.strip()), (0, BOB.strip())]
    assert value["metadata"]["channels"] == 2


def test_a_model_of_deepgrams_own_is_the_sites_and_that_is_said(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    answer = ask(client, services, speech, "model=nova-3")

    told = {each["type"]: each["message"] for each in answer.get_json()["metadata"]["warnings"]}
    assert "'nova-3' is not known here; 'demo' ran" in told["model_replaced"]
    assert answer.headers["X-Longhand-Model"] == "demo"
    assert "model_replaced" in answer.headers["X-Longhand-Warnings"]


def test_the_language_is_told_where_it_was_to_be_detected(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    answer = ask(client, services, speech, "detect_language=true")

    channel = answer.get_json()["results"]["channels"][0]
    assert (channel["detected_language"], channel["language_confidence"]) == ("en", 0.98)


def test_tags_and_extras_come_back_and_a_job_has_the_first_tag_as_its_label(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    answer = ask(client, services, speech, "tag=calls&tag=monday&extra=room:7")

    about = answer.get_json()["metadata"]
    assert (about["tags"], about["extra"]) == (["calls", "monday"], {"room": "7"})
    assert newest(services).label == "calls"


def test_what_has_no_effect_is_named(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    answer = ask(client, services, speech, "summarize=v2&topics=false&sentiment=true")

    warned = answer.get_json()["metadata"]["warnings"]
    named = [each["parameter"] for each in warned if each["type"] == "unsupported"]
    assert named == ["summarize", "sentiment"]
    assert answer.headers["X-Longhand-Ignored"] == "summarize, sentiment"


@pytest.mark.parametrize(("encoding", "n_bytes"), [("linear16", 2), ("mulaw", 1), ("alaw", 1)])
def test_bare_samples_are_taken_for_what_they_are_said_to_be(
    client: FlaskClient, services: Services, encoding: str, n_bytes: int
) -> None:
    samples = bytes(8000 * n_bytes)

    answer = ask(client, services, samples, f"encoding={encoding}&sample_rate=8000")

    assert answer.status_code == 200, answer.text
    assert newest(services).audio.duration_s == pytest.approx(1.0, abs=0.01)


def test_bare_samples_of_a_recording_are_read_as_such(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    with wave.open(io.BytesIO(speech)) as file:
        samples, length_s = file.readframes(file.getnframes()), file.getnframes() / 16_000

    ask(client, services, samples, "encoding=linear16&sample_rate=16000&channels=1")

    assert newest(services).audio.duration_s == pytest.approx(length_s, abs=0.01)


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("utt_split=soon", "utt_split"),
        ("language=Klingon", "language"),
        ("redact=pci", "redact"),
        ("replace=a:b", "replace"),
        ("profanity_filter=true", "profanity_filter"),
        ("encoding=linear16", "sample_rate"),
        ("callback=https://example.com/told", "LONGHAND_WEBHOOK_SECRET"),
        ("callback_method=put", "callback_method"),
        ("detect_language=Klingon", "detect_language"),
        ("model=nonsense", "model"),
    ],
)
def test_what_is_not_possible_is_refused_in_its_words(
    make_client: Callable[..., FlaskClient],
    speech: bytes,
    stored_files: Callable[[], list[str]],
    query: str,
    word: str,
) -> None:
    client = make_client(strict_models=True)

    answer = client.post(f"{PATH}?{query}", data=speech, content_type="audio/wav")

    refused(answer, 400, "INVALID_QUERY_PARAMETER", word)
    assert stored_files() == []


@pytest.mark.parametrize(
    ("data", "media_type", "word"),
    [
        (b"", "audio/wav", "no audio"),
        (b"nothing to hear", "audio/wav", "audio"),
        (b'{"link": 1}', "application/json", "url"),
        (b"{", "application/json", "JSON"),
    ],
)
def test_what_is_no_recording_is_a_bad_request(
    client: FlaskClient,
    stored_files: Callable[[], list[str]],
    data: bytes,
    media_type: str,
    word: str,
) -> None:
    answer = client.post(PATH, data=data, content_type=media_type)

    value = answer.get_json()
    assert (answer.status_code, set(value)) == (400, {"err_code", "err_msg", "request_id"})
    assert word in value["err_msg"]
    assert stored_files() == []


def test_a_url_that_cannot_be_had_is_remote_content(fetching: FlaskClient) -> None:
    answer = fetching.post(PATH, json={"url": "https://example.org/nothing"})

    refused(answer, 400, "REMOTE_CONTENT_ERROR", "URL")


def test_a_private_address_is_not_fetched(
    client: FlaskClient, stored_files: Callable[[], list[str]]
) -> None:
    answer = client.post(PATH, json={"url": "http://127.0.0.1/a.wav"})

    refused(answer, 400, "REMOTE_CONTENT_ERROR", "LONGHAND_ALLOWED_HOSTS")
    assert stored_files() == []


def test_a_job_that_fails_is_an_error_that_names_it(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    error = {"code": "engine_failed", "message": "the engine broke"}
    with meanwhile(services, lambda record: fail(services, record.id, error)):
        answer = client.post(PATH, data=speech)

    value = refused(answer, 500, "Internal Server Error", "the engine broke")
    assert value["job_id"] == newest(services).id


def test_an_unknown_key_is_invalid_auth(
    make_client: Callable[..., FlaskClient], speech: bytes
) -> None:
    client = make_client(auth="keys")

    answer = client.post(PATH, data=speech, headers={"Authorization": "Token nonsense"})

    refused(answer, 401, "INVALID_AUTH", "key")
