"""Every HTTP example of WhisperLive's hybrid server, as it is printed there."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from browser import open_browser
from conftest import running_site
from environments import run_script
from recordings import Curl, Hear, Recordings, curl, hear, recordings
from sites import Site
from spoken import transcribe_here

from shared.request import TranscriptionRequest
from shared.settings import CHECKOUT
from worker.processes.local import LocalModels
from worker.settings import WorkerSettings

__all__ = ["curl", "hear", "recordings"]

HERE = "http://localhost:8080"

OPENAI = """\
curl -X POST http://localhost:8080/v1/audio/transcriptions \\
-H "Content-Type: multipart/form-data" \\
-F "file=@audio.wav" \\
-F "model=whisper-1" \\
-F "response_format=json"
"""
TRANSCRIBE = """\
curl -X POST http://localhost:8080/transcribe \\
-F "file=@audio.wav" \\
-F "language=en" \\
-F "task=transcribe" \\
-F "model=base"
"""
BASIC = """\
# Basic transcription
curl -X POST http://localhost:8080/transcribe \\
-F "file=@audio.wav"
"""
TRANSLATE = """\
# With parameters
curl -X POST http://localhost:8080/transcribe \\
-F "file=@audio.wav" \\
-F "language=es" \\
-F "task=translate" \\
-F "model=small"
"""
# An option of ours: `small` is a model of random weights here, which without it would write
# something else each time.
STEADY = ' -F "temperature_increment=0"'
PYTHON = """\
import requests
# Transcribe a file
with open('audio.wav', 'rb') as f:
    response = requests.post('http://localhost:8080/transcribe',
        files={'file': f},
        data={'language': 'en', 'model': 'base'})
if response.status_code == 200:
    result = response.json()
    print(f"Transcription: {result['segments']}")
"""
# Node's own fetch writes the words "[object FormData]" for a body of the package form-data; the
# fetch that the example was written for is the package node-fetch.
NODE = """\
const fetch = require('node-fetch');
const FormData = require('form-data');
const fs = require('fs');
const form = new FormData();
form.append('file', fs.createReadStream('audio.wav'));
form.append('language', 'en');
form.append('model', 'base');
fetch('http://localhost:8080/transcribe', {
method: 'POST',
body: form
})
.then(response => response.json())
.then(result => console.log(result));
"""


@pytest.mark.promise("S0-08", "S0-11", "S0-14", "S0-16")
def test_the_openai_example(curl: Curl, hear: Hear) -> None:
    assert json.loads(curl(OPENAI, HERE))["text"] == hear("audio.wav")


@pytest.mark.promise("S0-11", "S0-12", "S0-17", "S0-18", "S0-20")
def test_the_transcribe_example(curl: Curl, hear: Hear) -> None:
    value = json.loads(curl(TRANSCRIBE, HERE))

    assert value["success"] is True
    assert "".join(s["text"] for s in value["segments"]).strip() == hear("audio.wav", language="en")
    assert {"start", "end", "text", "no_speech_prob"} <= set(value["segments"][0])
    assert {
        "language", "language_probability", "duration", "duration_after_vad",
        "transcription_options",
    } == set(value["info"])  # fmt: skip
    assert value["filename"] == "audio.wav"


@pytest.mark.promise("S0-17", "S0-20", "C-21", "S0-12")
def test_the_basic_example(curl: Curl, hear: Hear) -> None:
    assert json.loads(curl(BASIC, HERE))["text"] == hear("audio.wav")


@pytest.mark.promise("S0-17", "S0-20")
def test_the_example_that_translates(curl: Curl, recordings: Recordings, models_dir: Path) -> None:
    printed = json.loads(curl(TRANSLATE, HERE))
    value = json.loads(curl(TRANSLATE.rstrip() + STEADY, HERE))

    tiny = LocalModels(
        WorkerSettings(default_model="tiny", models_dir=models_dir, downloads=False, device="cpu")
    )
    request = TranscriptionRequest(
        language="es", task="translate", temperature_increment=0.0, chinese="none"
    )
    here = transcribe_here(tiny, recordings["audio.wav"], request, model="tiny")
    for answer in (printed, value):
        told = answer["success"], answer["task"], answer["model"], answer["language"]
        assert told == (True, "translate", "tiny", "es")
    assert value["text"] == here.text.strip()


@pytest.mark.promise("S0-20", "S0-18")
def test_the_python_example(
    compat_site: Site, environment: Callable[[str], Path], recordings: Recordings, hear: Hear
) -> None:
    program = PYTHON.replace(HERE, compat_site.stack.url)

    printed = run_script(environment("requests"), program, cwd=recordings.folder)

    segments = ast.literal_eval(printed.removeprefix("Transcription: "))
    assert "".join(s["text"] for s in segments).strip() == hear("audio.wav", language="en")


@pytest.mark.promise("S0-20")
def test_the_node_example(
    compat_site: Site,
    node_project: Callable[[str], Path],
    recordings: Recordings,
    hear: Hear,
    tmp_path: Path,
) -> None:
    script = tmp_path / "example.cjs"
    script.write_text(NODE.replace(HERE, compat_site.stack.url))
    modules = {"NODE_PATH": str(node_project("form-data") / "node_modules")}

    printed = run_script("node", script, cwd=recordings.folder, env=modules)

    assert "success: true" in printed
    assert hear("audio.wav", language="en") in printed


@pytest.mark.promise("S0-07", "C-05")
def test_the_health_example(curl: Curl) -> None:
    value = json.loads(curl("curl http://localhost:8080/health", HERE))

    assert value["status"] == "healthy"
    assert value["service"]


@pytest.mark.promise("S0-22")
def test_the_test_script_passes_and_tells_when_something_is_wrong(compat_site: Site) -> None:
    command = [sys.executable, "-I", "test_http_endpoints.py"]

    right = subprocess.run(
        [*command, compat_site.stack.url], cwd=CHECKOUT, capture_output=True, text=True
    )
    wrong = subprocess.run([*command, f"{compat_site.stack.url}/web"], cwd=CHECKOUT)
    nobody = subprocess.run([*command, "http://127.0.0.1:1"], cwd=CHECKOUT)

    assert right.returncode == 0, right.stdout
    assert "FAIL" not in right.stdout
    assert (wrong.returncode, nobody.returncode) == (1, 2)


@pytest.mark.promise("S0-23")
def test_the_form_of_the_site_transcribes(
    compat_site: Site, recordings: Recordings, hear: Hear
) -> None:
    with open_browser() as page:
        page.open(f"{compat_site.stack.url}/test_form.html")
        page.choose_file("#file", recordings["audio.wav"])
        page.run("document.getElementById('language').value = 'en'")
        page.run("document.getElementById('send').click()")
        page.wait_until("document.getElementById('text').textContent")
        heard = page.run("document.getElementById('text').textContent")
        state = page.run("document.getElementById('state').textContent")

    assert (state, heard) == ("200 OK", hear("audio.wav", language="en"))


@pytest.mark.promise("S0-23")
def test_the_form_opened_as_a_file_transcribes_where_that_is_allowed(
    models_dir: Path, recordings: Recordings, hear: Hear
) -> None:
    form = CHECKOUT / "gateway" / "web" / "test_form.html"
    with running_site(models_dir, LONGHAND_CORS_ORIGINS="null") as site, open_browser() as page:
        page.open(form.as_uri())
        page.run(f"document.getElementById('site').value = '{site.stack.url}'")
        page.choose_file("#file", recordings["audio.wav"])
        page.run("document.getElementById('send').click()")
        page.wait_until("document.getElementById('text').textContent")
        heard = page.run("document.getElementById('text').textContent")
        page.run("document.getElementById('health').click()")
        page.wait_until("document.getElementById('answer').textContent.includes('healthy')")

    assert heard == hear("audio.wav")
