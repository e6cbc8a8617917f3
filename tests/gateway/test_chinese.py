"""`chinese`, with a request and when a result is read: what is stored stays as recognised."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from urllib.parse import parse_qsl

import docx
import pytest
from chinese_phrases import KEPT
from flask.testing import FlaskClient
from gateway_errors import assert_error
from older_calls import ending, post
from work import SEGMENT, TRANSCRIPT, meanwhile, succeed, upload

from gateway.services import Services
from shared.chinese import VARIANTS
from shared.formats import FORMATS
from shared.transcript import Transcript, Word

RECOGNISED = [["皇"], ["后", "的", "头", "发"], ["和软", "件。"]]
READ = {"s2tw": "皇后的頭髮和軟件。", "s2twp": "皇后的頭髮和軟體。", "none": "皇后的头发和软件。"}


def transcript_of(texts: list[list[str]], language: str) -> Transcript:
    """What a worker stores that heard these words."""
    segments, start = [], 0.0
    for words in texts:
        timed = tuple(
            Word(word=word, start=start + n, end=start + n + 1, probability=0.5)
            for n, word in enumerate(words)
        )
        start = timed[-1].end
        times = {"start": timed[0].start, "end": start}
        segments.append(
            SEGMENT.model_copy(update={"text": "".join(words), "words": timed, **times})
        )
    text = "".join(segment.text for segment in segments)
    return TRANSCRIPT.model_copy(
        update={
            "text": text,
            "segments": tuple(segments),
            "language": language,
            "duration": start,
        }
    )


@pytest.fixture
def recognise(client: FlaskClient, services: Services, speech: bytes) -> Callable[..., str]:
    """A function that submits audio and does the worker's part; the id of the job."""

    def run(language: str = "zh", texts: list[list[str]] = RECOGNISED, **fields: str) -> str:
        job_id: str = upload(client, speech, language=language, **fields).get_json()["job_id"]
        transcript = transcript_of(texts, language)
        asked = services.jobs.get(job_id).request.model_dump()
        succeed(services, job_id, transcript.model_copy(update={"options": asked}))
        return job_id

    return run


OF_TEXT = [name for name in FORMATS if name != "rttm"]


def read(client: FlaskClient, job_id: str, query: str = "") -> str:
    """A result, as it is written; of a document, its paragraphs."""
    response = client.get(f"/jobs/{job_id}/result?{query}")
    assert response.status_code == 200
    if response.content_type.endswith("document"):
        paragraphs = docx.Document(io.BytesIO(response.data)).paragraphs
        return "\n".join(paragraph.text for paragraph in paragraphs)
    return response.get_data(as_text=True)


@pytest.mark.promise("S4-17", "C-17")
def test_a_result_is_read_in_the_script_its_request_asked_for(
    client: FlaskClient, recognise: Callable[..., str]
) -> None:
    job_id = recognise(chinese="s2twp", word_timestamps="true")

    value = json.loads(read(client, job_id))

    assert value["text"] == READ["s2twp"]
    assert [s["text"] for s in value["segments"]] == ["皇", "后的頭髮", "和軟體。"]
    words = [(w["word"], w["start"], w["end"]) for w in value["segments"][1]["words"]]
    assert words == [("后", 1, 2), ("的", 2, 3), ("頭", 3, 4), ("髮", 4, 5)]
    assert value["info"]["transcription_options"]["chinese"] == "s2twp"


def test_what_is_stored_is_what_was_recognised_and_what_was_asked(
    services: Services, recognise: Callable[..., str]
) -> None:
    job_id = recognise(chinese="s2twp")

    record = services.jobs.get(job_id)
    stored = services.jobs.read_transcript(record)
    assert (stored.text, stored.options["chinese"]) == (READ["none"], "s2twp")
    assert record.request.chinese == "s2twp"


@pytest.mark.promise("C-17")
@pytest.mark.parametrize("name", OF_TEXT)
@pytest.mark.parametrize("variant", READ)
def test_every_format_is_written_in_the_script_asked_for_when_it_is_read(
    client: FlaskClient, recognise: Callable[..., str], name: str, variant: str
) -> None:
    job_id = recognise(chinese="s2hk")

    told = read(client, job_id, f"format={name}&chinese={variant}")

    there = [READ[variant]] if name in ("text", "json") else [READ[variant][:1], READ[variant][1:5]]
    assert all(text in told for text in there)
    assert ("髮" in told, "发" in told) == (variant != "none", variant == "none")
    assert ("体" in told or "體" in told) == (variant == "s2twp")


@pytest.mark.parametrize("name", OF_TEXT)
def test_every_format_is_written_in_the_script_its_request_asked_for(
    client: FlaskClient, recognise: Callable[..., str], name: str
) -> None:
    job_id = recognise(chinese="s2twp")

    assert read(client, job_id, f"format={name}") == read(
        client, recognise(), f"format={name}&chinese=s2twp"
    )


@pytest.mark.parametrize("name", [name for name in OF_TEXT if name not in ("text", "json")])
def test_times_are_the_same_in_every_script(
    client: FlaskClient, recognise: Callable[..., str], name: str
) -> None:
    job_id = recognise()

    written = {read(client, job_id, f"format={name}&chinese={v}") for v in VARIANTS}

    assert len(written) > 2
    assert len({"".join(c for c in text if c.isascii()) for text in written}) == 1


def test_unless_asked_for_nothing_is_converted(
    client: FlaskClient, services: Services, recognise: Callable[..., str]
) -> None:
    job_id = recognise()

    assert services.jobs.get(job_id).request.chinese == "none"
    assert json.loads(read(client, job_id))["text"] == READ["none"]


@pytest.mark.promise("S4-17", "C-17")
def test_a_site_has_a_script_of_its_own(
    make_client: Callable[..., FlaskClient], services: Services, speech: bytes
) -> None:
    taiwan = make_client(default_chinese="s2tw")
    asked = {"": "s2tw", "none": "none", "s2hk": "s2hk"}

    jobs = {v: upload(taiwan, speech, chinese=v).get_json()["job_id"] for v in asked}

    found = {v: services.jobs.get(job_id).request.chinese for v, job_id in jobs.items()}
    assert found == asked
    succeed(services, jobs[""], transcript_of(RECOGNISED, "zh"))
    assert json.loads(read(taiwan, jobs[""]))["text"] == READ["s2tw"]


@pytest.mark.promise("S4-17", "C-17")
@pytest.mark.parametrize("variant", ["none", "s2tw", "t2s"])
@pytest.mark.parametrize(
    "path",
    [
        "/transcribe",
        "/recognise",
        "/asr?output=json",
        "/transcribe/file?wait=true&timestamps=true",
        "/v1/audio/transcriptions?response_format=verbose_json",
        "/v1/audio/transcriptions?stream=true",
    ],
)
def test_every_route_answers_in_the_script_of_the_site(
    make_client: Callable[..., FlaskClient],
    services: Services,
    speech: bytes,
    path: str,
    variant: str,
) -> None:
    site = make_client(default_chinese=variant)
    route, _, query = path.partition("?")
    field = "audio_file" if route == "/asr" else "file"
    # What a model wrote in both scripts, as they do.
    found = transcript_of([["头", "髮", "和"], ["軟", "件。"]], "zh")

    with meanwhile(services, ending(services, found)):
        answer = post(site, route, speech, field, **dict(parse_qsl(query)))

    told = answer.get_data(as_text=True)
    told = (
        told if "头" in told or "頭" in told else json.dumps(answer.get_json(), ensure_ascii=False)
    )
    wanted = {"none": "头髮和軟件。", "s2tw": "頭髮和軟件。", "t2s": "头发和软件。"}
    assert [text for text in wanted.values() if text in told] == [wanted[variant]]


def test_callers_who_wait_are_answered_in_the_script_they_asked_for(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    found = transcript_of(RECOGNISED, "zh")
    with meanwhile(services, lambda record: succeed(services, record.id, found)):
        response = upload(client, speech, chinese="s2tw", timestamps="true", wait="true")

    value = response.get_json()
    assert response.status_code == 200
    assert (value["text"], value["segments"][1]["text"]) == (READ["s2tw"], "后的頭髮")


@pytest.mark.parametrize("language", KEPT)
def test_other_languages_are_read_as_recognised(
    client: FlaskClient, recognise: Callable[..., str], language: str
) -> None:
    job_id = recognise(language, [[KEPT[language]]], chinese="s2twp")

    assert json.loads(read(client, job_id))["text"] == KEPT[language]
    assert json.loads(read(client, job_id, "chinese=s2t"))["text"] == KEPT[language]


def test_an_unknown_script_is_refused_with_those_there_are(
    client: FlaskClient, recognise: Callable[..., str], speech: bytes
) -> None:
    job_id = recognise()

    submitted = upload(client, speech, chinese="taiwan")
    asked = client.get(f"/jobs/{job_id}/result?chinese=taiwan")
    empty = client.get(f"/jobs/{job_id}/result?chinese=")

    said = "chinese is 'taiwan'; it must be "
    assert_error(submitted, 400, "invalid_request", f"{said}'none', 's2t'", param="chinese")
    assert_error(asked, 400, "invalid_request", f"{said}one of none, s2t,", param="chinese")
    assert_error(empty, 400, "invalid_request", "chinese is ''", param="chinese")


def test_an_unknown_script_is_refused_before_the_job_has_ended(
    client: FlaskClient, speech: bytes
) -> None:
    job_id = upload(client, speech).get_json()["job_id"]

    response = client.get(f"/jobs/{job_id}/result?chinese=taiwan")

    assert_error(response, 400, "invalid_request", "chinese is 'taiwan'", param="chinese")
