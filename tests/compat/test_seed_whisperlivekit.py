"""Every HTTP example of WhisperLiveKit's API reference, as it is printed there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from environments import run_script
from recordings import Curl, Hear, Recordings, curl, hear, recordings
from sites import Site

__all__ = ["curl", "hear", "recordings"]

HERE = "http://localhost:8000"

TRANSCRIBE = """\
curl http://localhost:8000/v1/audio/transcriptions \\
-F file=@audio.wav \\
-F response_format=json
"""
PYTHON = """\
from openai import OpenAI
client = OpenAI(base_url="http://localhost:8000/v1", api_key="unused")
with open("audio.wav", "rb") as f:
    result = client.audio.transcriptions.create(
        model="whisper-base", # ignored, uses server's backend
        file=f,
        response_format="verbose_json",
    )
print(result.text)
"""


@pytest.mark.promise("S1-02", "S1-03", "S1-06", "S1-08", "S1-04")
def test_the_curl_example(curl: Curl, hear: Hear) -> None:
    assert json.loads(curl(TRANSCRIBE, HERE))["text"] == hear("audio.wav")


@pytest.mark.promise("S1-11", "C-09")
def test_the_example_that_lists_models(curl: Curl) -> None:
    value = json.loads(curl("curl http://localhost:8000/v1/models", HERE))

    assert value["object"] == "list"
    assert {"id", "object", "owned_by"} <= set(value["data"][0])


@pytest.mark.promise("S1-12", "C-05")
def test_the_health_example(curl: Curl) -> None:
    value = json.loads(curl("curl http://localhost:8000/health", HERE))

    assert (value["ready"], value["backend"]) == (True, "faster_whisper")


@pytest.mark.promise("S1-13", "C-12")
@pytest.mark.parametrize("version", ["openai-1", "openai-2", "openai-3"])
def test_the_python_example(
    compat_site: Site,
    environment: Callable[[str], Path],
    recordings: Recordings,
    hear: Hear,
    version: str,
) -> None:
    program = PYTHON.replace(HERE, compat_site.stack.url)

    printed = run_script(environment(version), program, cwd=recordings.folder)

    assert printed.strip() == hear("audio.wav")


@pytest.mark.promise(
    "S1-04", "S1-05", "S1-07", "S1-09", "S1-10", "C-19", "C-22", "C-23", "S1-03", "S1-06"
)
@pytest.mark.parametrize("name", ["timestamp_granularities", "timestamp_granularities[]", None])
def test_every_field_and_format_of_the_table(curl: Curl, hear: Hear, name: str | None) -> None:
    fields = "-F file=@audio.wav -F language=en -F 'prompt=Alice' -F model="
    fields += f" -F '{name}=word'" if name else ""  # words are there unasked as well
    base = f"curl {HERE}/v1/audio/transcriptions {fields} -F response_format="
    answers = {f: curl(base + f, HERE) for f in ("verbose_json", "text", "srt", "vtt")}

    value = json.loads(answers["verbose_json"])
    words = hear("audio.wav", language="en", prompt="Alice")
    assert (value["task"], value["language"], value["text"]) == ("transcribe", "en", words)
    assert " ".join(word["word"] for word in value["words"]) == words
    assert {"word", "start", "end"} <= set(value["words"][0])
    assert {"id", "start", "end", "text"} <= set(value["segments"][0])
    assert answers["text"].strip() == words
    assert answers["srt"].startswith("1\n00:00:0")
    assert answers["vtt"].startswith("WEBVTT\n")
