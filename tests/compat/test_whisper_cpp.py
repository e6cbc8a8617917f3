"""The request of whisper.cpp's README, with the file and the prompt filled in, and its formats."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from recordings import Curl, Hear, curl, hear, recordings
from sites import Site
from two_voices import assert_heard

__all__ = ["curl", "hear", "recordings"]

HERE = "127.0.0.1:8080"

README = """\
curl 127.0.0.1:8080/inference \\
-H "Content-Type: multipart/form-data" \\
-F file="@<file-path>" \\
-F temperature="0.0" \\
-F temperature_inc="0.2" \\
-F prompt="<prompt>" \\
-F carry_initial_prompt="true" \\
-F response_format="json"
"""


def filled_in(file: str, prompt: str) -> str:
    """The request for a file."""
    return README.replace("<file-path>", file).replace("<prompt>", prompt)


@pytest.mark.promise("T20")
def test_the_request_of_its_readme_is_answered_with_what_is_said(
    speaking_site: Site, two_turns: Path
) -> None:
    command = filled_in(two_turns.name, "An interview").replace(HERE, speaking_site.stack.url)

    printed = subprocess.run(
        ["/bin/bash", "-c", command], cwd=two_turns.parent, capture_output=True, timeout=240
    ).stdout

    value = json.loads(printed)
    assert list(value) == ["text"]
    assert_heard(value["text"])


@pytest.mark.promise("T20")
def test_every_format_has_the_words(curl: Curl, hear: Hear) -> None:
    request = filled_in("audio.wav", "Alice")
    answers = {
        wanted: curl(request.replace('"json"', f'"{wanted}"'), HERE)
        for wanted in ("text", "verbose_json", "srt", "vtt")
    }

    words = hear(
        "audio.wav", hotwords="Alice", temperature="0", temperature_increment="0.2"
    ).split()
    value = json.loads(answers["verbose_json"])
    assert answers["text"].split() == value["text"].split() == words
    said = [word for segment in value["segments"] for word in segment["words"]]
    assert [word["word"].strip() for word in said] == words
    assert all(word["start"] <= word["end"] for word in said)
    assert answers["srt"].startswith("1\n00:00:0")
    assert answers["vtt"].startswith("WEBVTT\n")
    lines = [line for line in answers["srt"].splitlines() if "-->" not in line and line]
    assert " ".join(line for line in lines if not line.isdigit()).split() == words


@pytest.mark.parametrize("field", ["file=audio.wav", "response_format=mp3"])
def test_what_is_wrong_is_an_error_in_words(curl: Curl, field: str) -> None:
    file = "" if field.startswith("file") else " -F file=@audio.wav"

    value = json.loads(curl(f"curl {HERE}/inference -F {field}{file}", HERE))

    assert field.partition("=")[0] in value["error"]
