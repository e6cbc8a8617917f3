"""A result read in a format, written as its reader asks."""

from __future__ import annotations

import io
from collections.abc import Callable

import docx
import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from work import DIALOG, SEGMENT, TRANSCRIPT, succeed, upload

from gateway.services import Services
from shared.formats import FormatOptions
from shared.transcript import Character, SpeakerTurn, Transcript, Warned, Word

TEXTS = [" The quick brown fox.", " It jumps."]
SPEAKERS = ["SPEAKER_00", None]


def talk() -> Transcript:
    """Two segments of timed words, the first with a speaker."""
    segments, now = [], 0.0
    for text, speaker in zip(TEXTS, SPEAKERS, strict=True):
        words = tuple(
            Word(word=f" {word}", start=now + n, end=now + n + 1, probability=0.5)
            for n, word in enumerate(text.split())
        )
        times = {"start": now, "end": now + len(words)}
        said = {"text": text, "words": words, "speaker": speaker}
        segments.append(SEGMENT.model_copy(update=times | said))
        now += len(words)
    return TRANSCRIPT.model_copy(
        update={
            "text": "".join(TEXTS),
            "segments": tuple(segments),
            "duration": now,
            "turns": (SpeakerTurn(speaker="SPEAKER_00", start=0.0, end=4.0),),
        }
    )


@pytest.fixture
def job_id(client: FlaskClient, speech: bytes) -> str:
    """A queued job."""
    accepted: dict[str, str] = upload(client, speech).get_json()
    return accepted["job_id"]


@pytest.fixture
def read(client: FlaskClient, services: Services, job_id: str) -> Callable[[str], str]:
    """A function that reads the result by a query."""
    succeed(services, job_id, talk())

    def ask(query: str) -> str:
        response = client.get(f"/jobs/{job_id}/result?{query}")
        assert response.status_code == 200, response.get_json()
        return response.get_data(as_text=True)

    return ask


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["The quick brown fox.", "It jumps."]),
        ("max_line_width=10", ["The quick\nbrown fox.", "It jumps."]),
        ("max_line_width=10&max_line_count=1", ["The quick", "brown fox.", "It jumps."]),
        ("max_words_per_line=3", ["The quick brown", "fox.", "It jumps."]),
    ],
)
def test_the_options_of_subtitles_are_obeyed(
    read: Callable[[str], str], query: str, expected: list[str]
) -> None:
    cues = read(f"format=srt&speakers=false&{query}").strip().split("\n\n")

    assert [cue.split("\n", 2)[2] for cue in cues] == expected


def test_a_word_is_highlighted(read: Callable[[str], str]) -> None:
    assert "\n[SPEAKER_00]: The <u>quick</u> brown fox.\n" in read(
        "format=srt&highlight_words=true"
    )
    assert "\n<v SPEAKER_00>The <u>quick</u> brown fox.</v>\n" in read(
        "format=vtt&highlight_words=yes"
    )


def test_speakers_may_be_left_out(read: Callable[[str], str]) -> None:
    assert read("format=text") == "[SPEAKER_00]: The quick brown fox.\nIt jumps.\n"
    assert read("format=text&speakers=false") == "The quick brown fox. It jumps.\n"
    assert "SPEAKER" not in read("format=vtt&speakers=0")


def test_segments_are_cut_into_sentences(
    client: FlaskClient, services: Services, job_id: str
) -> None:
    whole = SEGMENT.model_copy(update={"text": " It is. So?", "start": 0.0, "words": None})
    succeed(services, job_id, TRANSCRIPT.model_copy(update={"segments": (whole,)}))
    route = f"/jobs/{job_id}/result?format=tsv"

    assert client.get(route).text == "start\tend\ttext\n0\t500\tIt is. So?\n"
    assert client.get(f"{route}&segment_resolution=sentence").text == (
        "start\tend\ttext\n0\t312\tIt is.\n312\t500\tSo?\n"
    )


@pytest.mark.parametrize("option", FormatOptions.model_fields)
def test_an_option_without_use_is_refused_by_name(
    client: FlaskClient, job_id: str, option: str
) -> None:
    value = {"speakers": "true", "highlight_words": "true", "segment_resolution": "chunk"}
    asked = f"{option}={value.get(option, '9')}"

    in_json = client.get(f"/jobs/{job_id}/result?format=json&{asked}")
    without = client.get(f"/jobs/{job_id}/result?{asked}")

    said = f"{option}; it is for format="
    assert_error(
        in_json, 400, "invalid_request", f"format json has no use for {said}", param=option
    )
    assert_error(without, 400, "invalid_request", f"only a format has use for {said}", param=option)


@pytest.mark.parametrize(
    ("query", "said", "param"),
    [
        ("max_line_width=0", "max_line_width is 0; it must be at least 1", "max_line_width"),
        ("highlight_words=maybe", "highlight_words is 'maybe'; it must be true", "highlight_words"),
        ("segment_resolution=word", "it must be 'sentence' or 'chunk'", "segment_resolution"),
        ("max_line_widht=9", "did you mean 'max_line_width'?", "max_line_widht"),
        ("max_line_width=9&max_line_width=8", "was given twice", "max_line_width"),
    ],
)
def test_an_impossible_option_is_refused_before_the_job_has_ended(
    client: FlaskClient, job_id: str, query: str, said: str, param: str
) -> None:
    response = client.get(f"/jobs/{job_id}/result?format=srt&{query}")

    assert_error(response, 400, "invalid_request", said, param=param)


def test_without_speakers_there_is_no_rttm(
    client: FlaskClient, services: Services, job_id: str
) -> None:
    succeed(services, job_id)

    response = client.get(f"/jobs/{job_id}/result?format=rttm")

    assert_error(response, 400, "invalid_request", "with diarize=true", param="format")


def test_the_answer_says_why_speakers_are_not_known(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    job_id = upload(client, speech, diarize="true").get_json()["job_id"]
    why = "it is not known who speaks: its process was lost twice"
    warned = (Warned(code="diarization_failed", message=why),)
    told = {"options": {"diarize": True}, "warnings": warned}
    succeed(services, job_id, TRANSCRIPT.model_copy(update=told))

    response = client.get(f"/jobs/{job_id}/result?format=rttm")

    assert_error(response, 400, "invalid_request", why, param="format")
    assert "diarize=true" not in response.get_json()["error"]


def test_rttm_tells_the_turns(read: Callable[[str], str]) -> None:
    assert read("format=rttm") == ("SPEAKER talk 1 0.000 4.000 <NA> <NA> SPEAKER_00 <NA> <NA>\n")


def test_a_document_can_be_opened(client: FlaskClient, services: Services, job_id: str) -> None:
    succeed(services, job_id, DIALOG)

    response = client.get(f"/jobs/{job_id}/result?format=docx")

    document = docx.Document(io.BytesIO(response.data))
    assert response.headers["Content-Disposition"].endswith("talk.docx")
    assert document.paragraphs[-1].text == "[00:00:00] [SPEAKER_00]: Good morning."


def test_every_segment_says_who_speaks_once_that_was_asked(
    client: FlaskClient, services: Services, job_id: str
) -> None:
    told = talk().model_copy(update={"speaker_embeddings": {"SPEAKER_00": (0.5, 1.0)}})
    succeed(services, job_id, told)

    value = client.get(f"/jobs/{job_id}/result?timestamps=true").get_json()

    assert [segment["speaker"] for segment in value["segments"]] == ["SPEAKER_00", None]
    assert value["turns"] == [{"speaker": "SPEAKER_00", "start": 0.0, "end": 4.0}]
    assert value["speaker_embeddings"] == {"SPEAKER_00": [0.5, 1.0]}


def test_nothing_of_speakers_is_said_where_nobody_asked(
    client: FlaskClient, services: Services, job_id: str
) -> None:
    succeed(services, job_id)

    value = client.get(f"/jobs/{job_id}/result?timestamps=true").get_json()

    assert {"turns", "speaker_embeddings"} & value.keys() == set()
    assert {"speaker", "chars", "language"} & value["segments"][0].keys() == set()


def test_times_of_the_whole_answer_are_in_order_and_within_the_audio(
    client: FlaskClient, services: Services, job_id: str
) -> None:
    words = (Word(word=" Good", start=-1.0, end=9.0, probability=0.9),)
    chars = (Character(char="G", start=0.25, end=9.0, score=0.9),)
    odd = SEGMENT.model_copy(update={"end": 9.0, "words": words, "chars": chars})
    succeed(services, job_id, TRANSCRIPT.model_copy(update={"segments": (odd,)}))

    value = client.get(f"/jobs/{job_id}/result?timestamps=true").get_json()

    (segment,) = value["segments"]
    (word,) = segment["words"]
    assert (segment["start"], segment["end"]) == (0.123, 0.5)
    assert (word["start"], word["end"]) == (0.123, 0.5)
    assert segment["chars"] == [{"char": "G", "start": 0.25, "end": 0.5, "score": 0.9}]
