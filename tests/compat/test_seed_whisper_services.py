"""Every HTTP example of the guide to the services faster-whisper and WhisperX."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from environments import run_script
from recordings import Curl, Hear, Recordings, curl, hear, recordings
from sites import Site

__all__ = ["curl", "hear", "recordings"]

FASTER_WHISPER = "https://whisper.srv759970.hstgr.cloud"
WHISPERX = "https://whisperx.srv759970.hstgr.cloud"

OPENAI_CURL = """\
curl -X POST https://whisper.srv759970.hstgr.cloud/v1/audio/transcriptions \\
-H "Authorization: Bearer $API_KEY" \\
-F "file=@audio.mp3" \\
-F "model=Systran/faster-whisper-small" \\
-F "language=fr"
"""
WHISPERX_CURL = """\
curl -X POST https://whisperx.srv759970.hstgr.cloud/transcribe \\
-F "file=@audio.mp3" \\
-F "model=base" \\
-F "language=fr" \\
-F "diarize=true"
"""
OPENAI_PYTHON = """\
import openai
client = openai.OpenAI(
    base_url="https://whisper.srv759970.hstgr.cloud/v1",
    api_key="dummy" # Not used but required
)
with open("meeting.mp3", "rb") as audio_file:
    transcript = client.audio.transcriptions.create(
        model="Systran/faster-whisper-small",
        file=audio_file,
        language="fr"
    )
print(transcript.text)
"""
WHISPERX_PYTHON = """\
import requests
url = "https://whisperx.srv759970.hstgr.cloud/transcribe"
with open("meeting.mp3", "rb") as f:
    files = {"file": f}
    data = {
        "model": "base",
        "language": "fr",
        "diarize": "true"
    }
    response = requests.post(url, files=files, data=data)
result = response.json()
for segment in result["segments"]:
    print(f"[{segment['speaker']}] {segment['text']}")
"""


@pytest.mark.promise("S3-01", "S3-03", "S3-06", "C-10")
def test_the_openai_curl_example(curl: Curl, hear: Hear) -> None:
    value = json.loads(curl(OPENAI_CURL, FASTER_WHISPER))

    assert value["text"] == hear("audio.mp3", language="fr")


@pytest.mark.promise("S3-02", "S3-03")
@pytest.mark.parametrize("version", ["openai-1", "openai-2", "openai-3"])
def test_the_openai_python_example(
    compat_site: Site,
    environment: Callable[[str], Path],
    recordings: Recordings,
    hear: Hear,
    version: str,
) -> None:
    program = OPENAI_PYTHON.replace(FASTER_WHISPER, compat_site.stack.url)

    printed = run_script(environment(version), program, cwd=recordings.folder)

    assert printed.strip() == hear("meeting.mp3", language="fr")


@pytest.mark.promise("S3-10", "S3-11", "C-15")
def test_the_whisperx_curl_example(curl: Curl, hear: Hear) -> None:
    value = json.loads(curl(WHISPERX_CURL, WHISPERX))

    assert value["language"] == "fr"
    assert value["text"] == hear("audio.mp3", language="fr")
    assert all("speaker" in segment for segment in value["segments"])
    assert value["segments"][0]["speaker"] == "SPEAKER_00"


@pytest.mark.promise("S3-10", "S3-11", "S3-30", "C-15")
def test_the_whisperx_python_example(
    compat_site: Site, environment: Callable[[str], Path], recordings: Recordings, hear: Hear
) -> None:
    program = WHISPERX_PYTHON.replace(WHISPERX, compat_site.stack.url)

    printed = run_script(environment("requests"), program, cwd=recordings.folder)

    parts = [line.split("] ", 1) for line in printed.strip().splitlines()]
    assert all(re.fullmatch(r"\[(SPEAKER_\d\d|None)", speaker) for speaker, _ in parts)
    said = " ".join(" ".join(text for _, text in parts).split())
    assert said == " ".join(hear("meeting.mp3", language="fr").split())
