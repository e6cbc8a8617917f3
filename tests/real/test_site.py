"""Real speech through a whole site: the text of the pipeline itself, in the script of the site."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from real_speech import MANDARIN
from spoken import transcribe_here, written

from shared.chinese import convert
from shared.formats import render
from worker.processes.local import LocalModels
from worker.settings import WorkerSettings


@pytest.mark.promise("S4-16", "S4-17", "C-17")
def test_a_site_gives_what_the_pipeline_gives_in_the_script_of_the_site_on_every_route(
    open_site: Callable[..., Any], real_models: Path, two_turns: Path
) -> None:
    models = LocalModels(
        WorkerSettings(models_dir=real_models, default_model="base", downloads=False, device="cpu")
    )
    site = open_site(
        env={
            "LONGHAND_DEFAULT_MODEL": "base",
            "LONGHAND_MODELS_DIR": str(real_models),
            "LONGHAND_DEFAULT_CHINESE": "t2s",
            "LONGHAND_DEVICE": "cpu",
        }
    )

    def post(path: str, clip: Path, field: str = "file", **data: str) -> Any:
        with clip.open("rb") as file:
            return site.http.post(path, files={field: file}, data=data)

    english = site.upload(two_turns)
    expected = transcribe_here(models, two_turns, model="base")
    stored = site.transcript(english)
    assert (stored.text, written(stored)) == (expected.text, written(expected))
    for name in ("text", "srt", "vtt", "json"):
        read = site.http.get(f"/jobs/{english}/result", params={"format": name}).text
        assert read == render(stored, name)

    recognised = transcribe_here(models, MANDARIN, model="base")
    wanted = convert(recognised, "t2s").text
    assert recognised.text != wanted
    said = post("/v1/audio/transcriptions", MANDARIN)
    assert said.json() == said.json() | {"text": wanted}
    assert post("/transcribe", MANDARIN).json()["text"] == wanted
    assert post("/recognise", MANDARIN).json()["text"] == wanted
    assert post("/asr", MANDARIN, "audio_file").text.strip() == wanted
    asked = post("/v1/audio/transcriptions", MANDARIN, chinese="s2tw").json()["text"]
    assert asked == convert(recognised, "s2tw").text != wanted
