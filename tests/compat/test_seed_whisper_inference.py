"""What whisper-inference-server's README says its routes do."""

from __future__ import annotations

import json

import pytest
from browser import open_browser
from recordings import Curl, Hear, Recordings, curl, hear, recordings
from sites import Site

__all__ = ["curl", "hear", "recordings"]

HERE = "http://127.0.0.1:5000"


@pytest.mark.promise("C-04")
def test_the_page_is_html(curl: Curl) -> None:
    assert curl(f"curl {HERE}/", HERE).startswith("<!doctype html>")


@pytest.mark.promise("S2-02", "S4-05")
def test_the_page_shows_the_text_of_a_file(
    compat_site: Site, recordings: Recordings, hear: Hear
) -> None:
    with open_browser() as page:
        page.open(f"{compat_site.stack.url}/")
        page.choose_file("#file", recordings["audio.wav"])
        page.run("document.getElementById('send').click()")
        page.wait_until("document.getElementById('text').textContent")
        heard = page.run("document.getElementById('text').textContent")

    assert heard == hear("audio.wav")


@pytest.mark.promise("S2-03", "S2-04", "C-08")
def test_recognise_returns_what_whispers_python_does(curl: Curl, hear: Hear) -> None:
    value = json.loads(curl(f"curl -X POST -F file=@audio.wav {HERE}/recognise", HERE))

    assert value["text"].strip() == hear("audio.wav")
    assert value["transcription"]["text"] == value["text"]
    assert value["segments"][0]["tokens"]


@pytest.mark.promise("S2-05")
def test_reload_takes_the_name_of_a_model(curl: Curl, hear: Hear) -> None:
    body = """-X POST -H 'Content-Type: application/json' -d '{"model_name": "large"}'"""

    told = json.loads(curl(f"curl {body} {HERE}/reload", HERE))
    value = json.loads(curl(f"curl -F file=@audio.wav {HERE}/recognise", HERE))

    assert (told["message"], told["model"]) == ("Model large loaded", "demo")
    assert value["text"].strip() == hear("audio.wav")
