"""Who speaks in the bundled conversation, through a whole site that nobody gave a token."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from real_speech import CONVERSATION, turns_of

pytestmark = pytest.mark.speech

TURNS = turns_of("conversation")
PEOPLE = {"Ann": "SPEAKER_00", "Ben": "SPEAKER_01"}


def test_a_site_says_who_speaks_without_a_token(
    open_site: Callable[..., Any], real_models: Path, real_diarizer: Path
) -> None:
    site = open_site(
        env={
            "LONGHAND_DEFAULT_MODEL": "base",
            "LONGHAND_MODELS_DIR": str(real_models),
            "LONGHAND_HF_TOKEN": "",
            "HF_TOKEN": "",
            "LONGHAND_DEVICE": "cpu",
        }
    )

    [worker] = site.workers()
    found = site.transcript(site.upload(CONVERSATION, diarize="true"))

    assert worker.diarization_model == "diarization"
    assert "diarization" in worker.diarizers
    assert [segment.speaker for segment in found.segments]
    told = []
    for segment in found.segments:
        if not told or told[-1] != segment.speaker:
            told.append(segment.speaker)
    assert told == [PEOPLE[turn.speaker] for turn in TURNS]
    for turn in TURNS:
        middle = (turn.start + turn.end) / 2
        speak = {t.speaker for t in found.turns if t.start <= middle <= t.end}
        assert speak in ({PEOPLE[turn.speaker]}, set()), turn  # or a pause within it
