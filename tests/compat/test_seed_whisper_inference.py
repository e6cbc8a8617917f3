"""What whisper-inference-server's README says its routes do."""

from __future__ import annotations

import json

import pytest
from recordings import Curl, Hear, curl, hear, recordings

__all__ = ["curl", "hear", "recordings"]

HERE = "http://127.0.0.1:5000"


@pytest.mark.promise("S2-02", "C-04")
def test_the_page_is_html(curl: Curl) -> None:
    assert curl(f"curl -H 'Accept: text/html' {HERE}/", HERE).startswith("<!doctype html>")


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
