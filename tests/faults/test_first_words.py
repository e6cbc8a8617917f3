"""Callers who read along have the first words long before the last ones are done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from random_whisper import TINY, for_engines, write_random
from spoken import draw_long_clip

from shared.settings import CHECKOUT

pytestmark = [pytest.mark.faults, pytest.mark.main_job]

LENGTH_S = 600
WORK_S = 10
FIRST_WITHIN = 0.15


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    """The demo model, and one as large as `tiny` whose weights are drawn."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "demo").symlink_to(CHECKOUT / "models" / "demo")
    write_random(tmp_path / "tiny.pt", size=TINY)
    converted = for_engines(tmp_path / "tiny.pt", tmp_path / "made")["faster_whisper"]
    (folder / "tiny").symlink_to(converted)
    return folder


def test_the_first_words_of_ten_minutes_come_within_a_seventh_of_the_work(
    open_site: Callable[..., Any], models_dir: Path, tmp_path: Path
) -> None:
    site = open_site(env={"LONGHAND_MODELS_DIR": str(models_dir)})
    clip = draw_long_clip(tmp_path, seed=421, length_s=LENGTH_S)
    form = {"model": "tiny", "stream": "true", "temperature_increment": "0"}
    events: list[tuple[float, dict[str, Any]]] = []

    with clip.path.open("rb") as file:
        began = time.monotonic()
        with site.http.stream(
            "POST", "/v1/audio/transcriptions", files={"file": file}, data=form, timeout=600
        ) as answer:
            assert answer.status_code == 200
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    event = json.loads(line.removeprefix("data: "))
                    events.append((time.monotonic() - began, event))

    first_s, last_s = events[0][0], events[-1][0]
    *deltas, done = [event for _, event in events]
    assert last_s >= WORK_S
    assert first_s < FIRST_WITHIN * last_s
    assert len(deltas) > 5
    assert "".join(event["delta"] for event in deltas) == done["text"]
