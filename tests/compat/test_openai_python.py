"""OpenAI's own Python clients, three majors of them, against a whole site: they read the words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from environments import run_script
from sites import Site
from spoken import Clip, transcribe_here

from shared.request import TranscriptionRequest
from worker.processes.local import LocalModels

VERSIONS = ["openai-1", "openai-2", "openai-3"]

PROGRAM = """
import json, sys
import openai

url, path, calls, key = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4]
client = openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0, timeout=200)


def plain(value):
    if isinstance(value, str):
        return value
    if hasattr(value, "to_dict"):
        return {"class": type(value).__name__, **value.to_dict()}
    return [plain(item) for item in value]


def run(name, fields):
    found = client
    for part in name.split("."):
        found = getattr(found, part)
    if name.startswith("audio"):
        with open(path, "rb") as file:
            return plain(found(file=file, **fields))
    return plain(found(**fields))


def safely(name, fields):
    try:
        return run(name, fields)
    except openai.APIStatusError as error:
        told = {name: getattr(error, name) for name in ("code", "param", "type")}
        return {"raised": type(error).__name__, "status": error.status_code, **told}


print(json.dumps([safely(*call) for call in calls]))
"""
"""Makes the calls it is given, `[name, fields]`, by a key; prints what each returned or raised."""

STEADY = {"temperature_increment": "0"}
"""An option of ours, so that a model of random weights writes the same again."""

CREATE = "audio.transcriptions.create"
TRANSLATE = "audio.translations.create"
CALLS: dict[str, list[Any]] = {
    "json": [CREATE, {"model": "whisper-1"}],
    "text": [CREATE, {"model": "whisper-1", "response_format": "text"}],
    "srt": [CREATE, {"model": "base", "response_format": "srt"}],
    "vtt": [CREATE, {"model": "large-v3", "response_format": "vtt"}],
    "verbose": [CREATE, {"model": "whisper-base", "response_format": "verbose_json"}],
    "words": [
        CREATE,
        {
            "model": "whisper-1",
            "response_format": "verbose_json",
            "timestamp_granularities": ["word", "segment"],
        },
    ],
    "diarized": [
        CREATE,
        {
            "model": "gpt-4o-transcribe-diarize",
            "response_format": "diarized_json",
            "chunking_strategy": "auto",
        },
    ],
    "logprobs": [CREATE, {"model": "gpt-4o-transcribe", "include": ["logprobs"]}],
    "stream": [CREATE, {"model": "gpt-4o-mini-transcribe", "stream": True}],
    "translation": [TRANSLATE, {"model": "tiny", "extra_body": STEADY}],
    "verbose translation": [
        TRANSLATE,
        {"model": "tiny", "response_format": "verbose_json", "extra_body": STEADY},
    ],
    "models": ["models.list", {}],
    "model": ["models.retrieve", {"model": "Systran/faster-whisper-small"}],
    "no model": [CREATE, {"model": "gpt-9"}],
    "no such model": ["models.retrieve", {"model": "gpt-9"}],
    "bad format": [CREATE, {"model": "whisper-1", "response_format": "mp3"}],
}

Run = Callable[..., list[Any]]


@pytest.fixture(scope="module", params=VERSIONS)
def run(
    request: pytest.FixtureRequest,
    environment: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """A function that makes calls by one of the clients: the site, a file, the calls, a key."""

    def make(site: Site, path: Path, calls: list[Any], key: str = "unused") -> list[Any]:
        folder, program = tmp_path_factory.mktemp("client"), environment(request.param)
        given = (site.stack.url, path, json.dumps(calls), key)
        said = run_script(program, PROGRAM, *given, cwd=folder)
        found: list[Any] = json.loads(said)
        return found

    return make


@pytest.fixture(scope="module")
def returned(run: Run, compat_site: Site, clip: Clip) -> dict[str, Any]:
    """What each of `CALLS` returned or raised, by its name."""
    return dict(zip(CALLS, run(compat_site, clip.path, [*CALLS.values()]), strict=True))


@pytest.fixture(scope="module")
def english(models_dir: Path, clip: Clip) -> str:
    """What the random `tiny` makes of the clip, in this process."""
    from worker.settings import WorkerSettings

    settings = WorkerSettings(models_dir=models_dir, downloads=False, device="cpu")
    request = TranscriptionRequest(task="translate", temperature_increment=0, chinese="none")
    transcript = transcribe_here(LocalModels(settings), clip.path, request, model="tiny")
    return transcript.text.strip()


def joined(cues: str) -> str:
    """The text of subtitles, without numbers, times and line breaks."""
    lines = [line for line in cues.splitlines() if line and "-->" not in line]
    return " ".join(line for line in lines if not line.isdigit() and line != "WEBVTT")


@pytest.mark.promise("S0-14")
def test_the_words_come_as_json_and_as_text(returned: dict[str, Any], words: str) -> None:
    assert returned["json"]["text"] == words
    assert returned["text"] == words + "\n"
    assert returned["json"]["class"] == "Transcription"


@pytest.mark.promise("S0-14")
def test_the_words_come_as_subtitles(returned: dict[str, Any], words: str) -> None:
    assert returned["srt"].startswith("1\n00:00:0")
    assert returned["vtt"].startswith("WEBVTT\n")
    assert [joined(returned[name]) for name in ("srt", "vtt")] == [words, words]


@pytest.mark.parametrize("name", ["verbose", "words"])
def test_verbose_json_has_words_and_segments(
    returned: dict[str, Any], words: str, clip: Clip, name: str
) -> None:
    verbose = returned[name]

    assert (verbose["class"], verbose["text"]) == ("TranscriptionVerbose", words)
    assert (verbose["language"], verbose["model"]) == ("en", "demo")
    assert abs(verbose["duration"] - clip.duration_s) < 0.01
    assert " ".join(word["word"] for word in verbose["words"]) == words
    assert " ".join(segment["text"].strip() for segment in verbose["segments"]) == words


def test_who_speaks_is_said(returned: dict[str, Any], words: str) -> None:
    diarized = returned["diarized"]

    assert diarized["text"] == words
    assert " ".join(segment["text"] for segment in diarized["segments"]) == words
    assert "A" in {segment["speaker"] for segment in diarized["segments"]}


def test_how_sure_each_word_is_is_said(returned: dict[str, Any], words: str) -> None:
    found = returned["logprobs"]["logprobs"]

    assert "".join(item["token"] for item in found).strip() == words
    assert all(item["logprob"] <= 0 for item in found)


@pytest.mark.promise("S3-08")
def test_the_words_are_streamed(returned: dict[str, Any], words: str) -> None:
    *deltas, done = returned["stream"]

    assert {event["class"] for event in deltas} == {"TranscriptionTextDeltaEvent"}
    assert "".join(event["delta"] for event in deltas) == words
    assert (done["class"], done["text"]) == ("TranscriptionTextDoneEvent", words)


@pytest.mark.promise("S0-09", "S3-08")
def test_speech_is_translated(returned: dict[str, Any], english: str) -> None:
    assert english
    assert returned["translation"]["text"] == english
    verbose = returned["verbose translation"]
    assert (verbose["class"], verbose["text"]) == ("TranslationVerbose", english)
    assert verbose["language"] == "en"


def test_models_are_listed_and_found(returned: dict[str, Any]) -> None:
    assert {"demo", "tiny", "base"} <= {model["id"] for model in returned["models"]["data"]}
    assert returned["model"]["id"] == "Systran/faster-whisper-small"


def test_a_model_that_nobody_knows_is_the_default(returned: dict[str, Any], words: str) -> None:
    assert returned["no model"]["text"] == words


def test_an_error_is_the_one_openai_raises(returned: dict[str, Any]) -> None:
    wrong = {"status": 404, "code": "model_not_found", "param": "model"}
    assert returned["no such model"] == {
        "raised": "NotFoundError", "type": "invalid_request_error", **wrong,
    }  # fmt: skip
    assert returned["bad format"] == {
        "raised": "BadRequestError",
        "status": 400,
        "type": "invalid_request_error",
        "code": "invalid_request",
        "param": "response_format",
    }


def test_what_is_too_large_is_refused(run: Run, small_site: Site, tmp_path: Path) -> None:
    path = tmp_path / "large.wav"
    path.write_bytes(bytes(2_000_000))

    [refused] = run(small_site, path, [CALLS["json"]])

    assert refused == {
        "raised": "APIStatusError",
        "status": 413,
        "type": "invalid_request_error",
        "code": "audio_too_large",
        "param": "file",
    }


def test_a_key_opens_and_anything_else_is_refused(
    run: Run, keyed_site: tuple[Site, str], clip: Clip, words: str
) -> None:
    site, key = keyed_site
    calls = [CALLS["json"], CALLS["models"]]

    heard, listed = run(site, clip.path, calls, key)
    refused = run(site, clip.path, calls, "nonsense")

    assert (heard["text"], listed["object"]) == (words, "list")
    assert {(error["raised"], error["status"], error["type"]) for error in refused} == {
        ("AuthenticationError", 401, "authentication_error")
    }
