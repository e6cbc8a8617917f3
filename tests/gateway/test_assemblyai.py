"""`/v2/…`, as AssemblyAI has it: uploads, transcripts, and what is read of them."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import clips
import pytest
from dialogue import ANN, BOB, dialogue
from flask.testing import FlaskClient
from work import fail, newest, succeed

from gateway.reading.resumable import MOST_PART_BYTES
from gateway.services import Services

URL = "https://example.org/talk.wav"
ORDER = "/v2/transcript"


def send(client: FlaskClient, audio: bytes, **headers: str) -> str:
    """Upload audio; its URL."""
    answer = client.post("/v2/upload", data=audio, headers=headers)
    assert answer.status_code == 200, answer.text
    url: str = answer.get_json()["upload_url"]
    return url


def order(client: FlaskClient, url: str, **fields: Any) -> Any:
    """The transcript that is made of audio, as it stands at once."""
    answer = client.post(ORDER, json={"audio_url": url, **fields})
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def refused(answer: Any, status: int, *words: str) -> None:
    """An error as AssemblyAI writes it."""
    value = answer.get_json()
    assert answer.status_code == status, value
    assert set(value) <= {"error", "job_id"}
    assert all(word in value["error"] for word in words), value


def test_an_upload_becomes_a_transcript(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    url = send(client, speech)
    queued = order(client, url, speaker_labels=True, language_code="en_us")
    succeed(services, queued["id"], dialogue())
    done = client.get(f"{ORDER}/{queued['id']}").get_json()

    record = newest(services)
    assert (queued["status"], queued["text"], queued["audio_url"]) == ("queued", None, url)
    assert (done["status"], done["error"]) == ("completed", None)
    assert (done["text"], done["confidence"]) == ((ANN + BOB).strip(), 0.9)
    assert done["words"][1] == {
        "text": "morning,", "start": 800, "end": 1100, "confidence": 0.9, "speaker": "A",
    }  # fmt: skip
    assert [(u["speaker"], u["text"], u["start"], u["end"]) for u in done["utterances"]] == [
        ("A", ANN.strip(), 500, 2300), ("B", BOB.strip(), 5000, 6200),
    ]  # fmt: skip
    assert (done["language_code"], done["language_confidence"]) == ("en", 0.98)
    assert (done["speech_model_used"], done["speaker_labels"]) == ("demo", True)
    assert (record.request.language, record.request.diarize) == ("en", True)
    assert record.audio.n_bytes == len(speech)


def test_a_running_transcript_is_processing(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    job_id = order(client, send(client, speech))["id"]
    services.jobs.runs.claim(job_id, 1, "w1")

    answer = client.get(f"{ORDER}/{job_id}")

    assert (answer.get_json()["status"], answer.headers["Retry-After"]) == ("processing", "3")
    refused(client.get(f"{ORDER}/{job_id}/srt"), 400, "processing", "completed")


def test_a_transcript_that_failed_says_why(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    job_id = order(client, send(client, speech))["id"]
    fail(services, job_id, {"code": "engine_failed", "message": "the engine broke"})

    value = client.get(f"{ORDER}/{job_id}").get_json()

    assert (value["status"], value["error"]) == ("error", "the engine broke")
    refused(client.get(f"{ORDER}/{job_id}/sentences"), 400, "the engine broke")


def test_a_url_is_fetched(fetching: FlaskClient, services: Services) -> None:
    value = order(fetching, URL)

    assert value["audio_url"] == URL
    assert newest(services).audio.filename == "talk.wav"


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({}, {"language": None, "diarize": False, "align": False, "word_timestamps": True}),
        ({"speaker_labels": True}, {"diarize": True, "align": None}),
        ({"speaker_labels": True, "speakers_expected": 3}, {"num_speakers": 3}),
        (
            {"speaker_options": {"min_speakers_expected": 2, "max_speakers_expected": 4}},
            {"min_speakers": 2, "max_speakers": 4},
        ),
        ({"language_code": "de"}, {"language": "de"}),
        ({"language_code": "de", "language_detection": True}, {"language": None}),
        ({"keyterms_prompt": ["Ann Lee"], "word_boost": ["Bob"]}, {"hotwords": "Ann Lee, Bob"}),
        ({"prompt": "Ann"}, {"prompt": "Ann"}),
        ({"audio_start_from": 100}, {"clip_timestamps": (0.1,)}),
        ({"audio_start_from": 100, "audio_end_at": 300}, {"clip_timestamps": (0.1, 0.3)}),
        ({"audio_end_at": 300}, {"clip_timestamps": (0.0, 0.3)}),
        ({"speech_model": "best"}, {"model": None}),
        ({"speech_models": ["universal-3-pro", "base"]}, {"model": "base"}),
        ({"temperature": 0.4}, {"temperature": 0.4}),
    ],
)
def test_its_fields_mean_what_they_mean_there(
    fetching: FlaskClient, services: Services, fields: dict[str, Any], options: dict[str, Any]
) -> None:
    order(fetching, URL, **fields)

    request = newest(services).request
    assert {name: getattr(request, name) for name in options} == options


@pytest.mark.parametrize("name", ["multichannel", "dual_channel"])
def test_channels_are_told_of_words_and_utterances(
    client: FlaskClient, services: Services, name: str
) -> None:
    url = send(client, clips.wav(0.5, n_channels=2))
    job_id = order(client, url, **{name: True})["id"]
    succeed(services, job_id, dialogue())

    value = client.get(f"{ORDER}/{job_id}").get_json()

    told = [(u["channel"], u["speaker"], u["text"]) for u in value["utterances"]]
    assert told == [("2", "2", ANN.strip()), ("1", "1", BOB.strip())]
    assert value["words"][0]["channel"] == "2"
    assert value["multichannel"] is True


def test_a_model_of_assemblyais_own_is_the_sites_and_that_is_said(
    fetching: FlaskClient, services: Services
) -> None:
    job_id = order(fetching, URL, speech_model="best")["id"]
    succeed(services, job_id, dialogue())

    value = fetching.get(f"{ORDER}/{job_id}").get_json()

    told = [each["message"] for each in value["metadata"]["warnings"]]
    assert told == ["model 'best' is not known here; 'demo' ran in its place"]
    assert (value["speech_model"], value["speech_model_used"]) == ("best", "demo")


@pytest.mark.parametrize(
    ("fields", "text", "word"),
    [
        ({"punctuate": False}, "Good morning Bob It is late Dr Smith said so", "morning"),
        ({"format_text": False}, "good morning, bob. it is late. dr. smith said so.", "morning,"),
    ],
)
def test_signs_and_capitals_are_taken_away_where_they_are_not_wanted(
    fetching: FlaskClient, services: Services, fields: dict[str, bool], text: str, word: str
) -> None:
    job_id = order(fetching, URL, **fields)["id"]
    succeed(services, job_id, dialogue())

    value = fetching.get(f"{ORDER}/{job_id}").get_json()

    assert (value["text"], value["words"][1]["text"]) == (text, word)


@pytest.mark.parametrize(
    ("fields", "status", "word"),
    [
        ({"language_confidence_threshold": 0.99}, "error", "language_confidence_threshold"),
        ({"language_confidence_threshold": 0.9}, "completed", ""),
        ({"speech_threshold": 0.6}, "error", "speech_threshold"),
        ({"speech_threshold": 0.4}, "completed", ""),
    ],
)
def test_a_transcript_below_a_threshold_is_an_error(
    fetching: FlaskClient, services: Services, fields: dict[str, float], status: str, word: str
) -> None:
    job_id = order(fetching, URL, **fields)["id"]
    succeed(services, job_id, dialogue())

    value = fetching.get(f"{ORDER}/{job_id}").get_json()

    assert value["status"] == status
    assert word in (value["error"] or "")
    assert (value["text"] is None) == (status == "error")


def test_sentences_paragraphs_and_subtitles_are_read(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    job_id = order(client, send(client, speech), speaker_labels=True)["id"]
    succeed(services, job_id, dialogue())
    base = f"{ORDER}/{job_id}"

    sentences = client.get(f"{base}/sentences").get_json()["sentences"]
    paragraphs = client.get(f"{base}/paragraphs").get_json()["paragraphs"]
    srt, short = client.get(f"{base}/srt"), client.get(f"{base}/srt?chars_per_caption=12")
    vtt = client.get(f"{base}/vtt")

    assert [(s["text"], s["start"], s["end"], s["speaker"]) for s in sentences] == [
        ("Good morning, Bob.", 500, 1400, "A"),
        ("It is late.", 1400, 2300, "A"),
        ("Dr. Smith said so.", 5000, 6200, "B"),
    ]
    assert [len(s["words"]) for s in sentences] == [3, 3, 4]
    assert [p["text"] for p in paragraphs] == [ANN.strip(), BOB.strip()]
    assert srt.text.startswith(f"1\n00:00:00,500 --> 00:00:02,300\n{ANN.strip()}\n\n2\n")
    assert vtt.text.startswith("WEBVTT\n\n00:00:00.500 --> 00:00:02.300\n")
    lines = [line for block in short.text.strip().split("\n\n") for line in block.split("\n")[2:]]
    assert max(map(len, lines)) <= 12 < len(ANN)


def test_words_and_phrases_are_found(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    job_id = order(client, send(client, speech))["id"]
    succeed(services, job_id, dialogue())

    found = client.get(f"{ORDER}/{job_id}/word-search?words=bob,it+is,none").get_json()

    assert found == {
        "id": job_id,
        "total_count": 2,
        "matches": [
            {"text": "bob", "count": 1, "timestamps": [[1100, 1400]], "indexes": [2]},
            {"text": "it is", "count": 1, "timestamps": [[1400, 2000]], "indexes": [3]},
        ],
    }


def test_fields_that_have_no_effect_are_named(fetching: FlaskClient) -> None:
    answer = fetching.post(
        ORDER, json={"audio_url": URL, "auto_chapters": True, "summarization": False, "mood": 1}
    )

    told = [each["message"] for each in answer.get_json()["metadata"]["warnings"]]
    assert told == ["auto_chapters has no effect here", "mood has no effect here"]
    assert answer.headers["X-Longhand-Ignored"] == "auto_chapters, mood"


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"audio_url": ""}, "audio_url"),
        ({"audio_url": None}, "audio_url"),
        ({"audio_url": 7}, "audio_url"),
        ({"audio_url": "https://example.org/nothing"}, "URL"),
        ({"audio_url": f"https://here/v2/upload/{32 * '0'}"}, "no upload"),
        ({"language_code": "Klingon"}, "language_code"),
        ({"speakers_expected": 0}, "speakers_expected"),
        ({"speaker_options": {"min_speakers_expected": 4, "max_speakers_expected": 2}}, "speakers"),
        ({"redact_pii": True}, "redact_pii"),
        ({"filter_profanity": True}, "filter_profanity"),
        ({"multichannel": True, "speaker_labels": True}, "multichannel"),
        ({"custom_spelling": [{"from": ["a"], "to": "b"}]}, "custom_spelling"),
        ({"audio_start_from": 300, "audio_end_at": 100}, "audio_start_from"),
        ({"webhook_url": "https://example.com/told"}, "webhook_url"),
        ({"webhook_auth_header_name": "Content-Length"}, "webhook_auth_header_name"),
    ],
)
def test_what_is_not_possible_is_refused(
    fetching: FlaskClient,
    stored_files: Callable[[], list[str]],
    fields: dict[str, Any],
    word: str,
) -> None:
    refused(fetching.post(ORDER, json={"audio_url": URL, **fields}), 400, word)
    assert stored_files() == []


@pytest.mark.parametrize("url", ["http://127.0.0.1/a.wav", "ftp://example.org/talk.wav"])
def test_a_private_address_or_another_protocol_is_not_fetched(
    client: FlaskClient, url: str
) -> None:
    refused(client.post(ORDER, json={"audio_url": url}), 400, "URL")


def test_an_upload_leads_to_as_many_transcripts_as_are_asked_for(
    client: FlaskClient, services: Services, speech: bytes, stored_files: Callable[[], list[str]]
) -> None:
    url = send(client, speech)
    sent = [name for name in stored_files() if name.startswith("uploads/")]
    first = order(client, url)["id"]
    left = [name for name in stored_files() if name.startswith("uploads/")]
    second = order(client, url, language_code="de")["id"]

    hashes = {services.jobs.get(job_id).audio.sha256 for job_id in (first, second)}
    assert (len(sent), left) == (1, [])
    assert hashes == {sha256(speech).hexdigest()}


def test_an_upload_of_several_parts_is_whole(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    long = speech + bytes(MOST_PART_BYTES)  # as if its header told of less

    order(client, send(client, long))

    assert newest(services).audio.n_bytes == len(long)


def test_an_upload_is_for_its_owner_alone_and_expires(
    site: FlaskClient, make_key: Callable[..., str], services: Services, speech: bytes
) -> None:
    client = site
    ann, bob = ({"authorization": make_key(name)} for name in ("ann", "bob"))
    url = send(client, speech, **ann)

    refused(client.post(ORDER, json={"audio_url": url}, headers=bob), 400, "no upload")
    made = client.post(ORDER, json={"audio_url": url}, headers=ann)
    refused(client.post(ORDER, json={"audio_url": url}, headers=bob), 400, "no upload")
    job_id = made.get_json()["id"]
    refused(client.get(f"{ORDER}/{job_id}", headers=bob), 404)

    upload_id = url.rpartition("/")[2]
    assert 0 < services.redis.ttl(f"longhand:upload:{upload_id}:taken") <= 24 * 3600
    refused(client.post("/v2/upload", data=speech), 401, "key")


def test_an_empty_upload_is_refused_and_nothing_is_kept(
    client: FlaskClient, stored_files: Callable[[], list[str]]
) -> None:
    refused(client.post("/v2/upload", data=b""), 400, "no audio")
    assert stored_files() == []


def test_what_is_no_audio_becomes_no_transcript(client: FlaskClient) -> None:
    url = send(client, b"nothing to hear")

    refused(client.post(ORDER, json={"audio_url": url}), 400, "audio")


def test_an_upload_over_the_limit_is_refused(
    make_client: Callable[..., FlaskClient],
    speech: bytes,
    stored_files: Callable[[], list[str]],
) -> None:
    client = make_client(max_audio_bytes=1000)

    refused(client.post("/v2/upload", data=speech), 413, "LONGHAND_MAX_AUDIO_BYTES")
    assert stored_files() == []


def test_transcripts_are_listed_page_by_page(fetching: FlaskClient, services: Services) -> None:
    ids = [order(fetching, URL, temperature=n / 10)["id"] for n in range(5)][::-1]
    fail(services, ids[0], {"code": "engine_failed", "message": "the engine broke"})

    first = fetching.get(f"{ORDER}?limit=2").get_json()
    older = fetching.get(first["page_details"]["prev_url"]).get_json()
    newer = fetching.get(older["page_details"]["next_url"]).get_json()
    failed = fetching.get(f"{ORDER}?status=error").get_json()

    def listed(page: dict[str, Any]) -> list[str]:
        return [item["id"] for item in page["transcripts"]]

    assert listed(first) == listed(newer) == ids[:2]
    assert listed(older) == ids[2:4]
    assert listed(failed) == ids[:1]
    assert failed["transcripts"][0]["error"] == "the engine broke"
    assert first["page_details"]["result_count"] == 2
    assert first["transcripts"][1]["resource_url"].endswith(f"/v2/transcript/{ids[1]}")
    assert listed(fetching.get(f"{ORDER}?created_on=2001-01-01").get_json()) == []
    refused(fetching.get(f"{ORDER}?limit=0"), 400, "limit")
    refused(fetching.get(f"{ORDER}?created_on=0"), 400, "created_on")


def test_a_transcript_is_deleted(
    client: FlaskClient, services: Services, speech: bytes, stored_files: Callable[[], list[str]]
) -> None:
    url = send(client, speech)
    job_id = order(client, url)["id"]
    succeed(services, job_id, dialogue())

    value = client.delete(f"{ORDER}/{job_id}").get_json()

    assert (value["status"], value["text"]) == ("completed", "Deleted by user.")
    assert stored_files() == []
    refused(client.get(f"{ORDER}/{job_id}"), 404)
    refused(client.post(ORDER, json={"audio_url": url}), 400, "deleted")


def test_a_job_that_was_made_otherwise_is_a_transcript_too(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    made = client.post("/transcribe/binary", data=speech).get_json()
    succeed(services, made["job_id"], dialogue(has_speakers=False))

    value = client.get(f"{ORDER}/{made['job_id']}").get_json()

    assert value["text"] == (ANN + BOB).strip()
    assert value["audio_url"].endswith(f"/jobs/{made['job_id']}/audio")
