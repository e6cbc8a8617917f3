"""Mandarin through a whole stack, read in Taiwan's words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spoken import draw_long_clip, transcribe_here

from shared.chinese import convert
from shared.formats import FORMATS, render
from shared.request import TranscriptionRequest
from shared.transcript import Transcript
from worker.models.cache import LocalModels

pytestmark = pytest.mark.main_job


def words_of(transcript: Transcript) -> list[tuple[str, float, float]]:
    """Every word and its times."""
    words = (word for segment in transcript.segments for word in segment.words or ())
    return [(word.word, word.start, word.end) for word in words]


def test_mandarin_is_stored_as_recognised_and_read_in_taiwans_words(
    open_site: Callable[..., Any], models: LocalModels, tmp_path: Path
) -> None:
    clip = draw_long_clip(tmp_path, seed=71, length_s=40, language="zh")
    site = open_site()

    job_id = site.upload(clip.path, chinese="s2twp", word_timestamps="true")
    stored = site.transcript(job_id)

    request = TranscriptionRequest(word_timestamps=True)
    recognised = transcribe_here(models, clip.path, request)
    converted = convert(recognised, "s2twp")
    assert recognised.language == "zh"
    assert len(recognised.segments) > 2
    assert converted.text != recognised.text
    assert (stored.text, stored.segments) == (recognised.text, recognised.segments)
    assert stored.options["chinese"] == "s2twp"

    value = site.http.get(f"/jobs/{job_id}/result").json()
    assert value["text"] == converted.text
    told = [(w["word"], w["start"], w["end"]) for s in value["segments"] for w in s["words"]]
    assert told == words_of(converted)
    assert [times for _, *times in told] == [times for _, *times in words_of(recognised)]
    for name in FORMATS:
        read = site.http.get(f"/jobs/{job_id}/result", params={"format": name})
        assert read.text == render(converted, name), name
        read = site.http.get(f"/jobs/{job_id}/result", params={"format": name, "chinese": "none"})
        assert read.text == render(recognised, name), name
