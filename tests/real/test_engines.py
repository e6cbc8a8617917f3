"""Every engine hears real speech with the same real weights."""

from __future__ import annotations

from pathlib import Path

import pytest
from real_speech import TWO_TURNS_S, as_checkpoint, n_errors, text_of, turns_of
from spoken import transcribe_here

from shared.request import TranscriptionRequest
from shared.transcript import Transcript
from worker.engines import ENGINES
from worker.processes.local import LocalModels
from worker.settings import WorkerSettings

TURNS = turns_of("conversation")[:2]


@pytest.fixture(scope="module", params=ENGINES)
def heard(
    request: pytest.FixtureRequest,
    real_models: Path,
    two_turns: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Transcript:
    """What an engine makes of two turns, with `tiny.en` and times for every word."""
    models_dir = real_models
    if request.param == "openai_whisper":
        models_dir = tmp_path_factory.mktemp("models")
        as_checkpoint(real_models, "tiny.en", models_dir)
    settings = WorkerSettings(
        engine=request.param,
        models_dir=models_dir,
        default_model="tiny.en",
        downloads=False,
        device="cpu",
    )
    asked = TranscriptionRequest(word_timestamps=True, align=False)
    return transcribe_here(LocalModels(settings), two_turns, asked, model="tiny.en")


def test_the_right_words_are_written(heard: Transcript) -> None:
    assert n_errors(text_of(TURNS), heard.text) <= 1
    assert (heard.language, heard.model) == ("en", "tiny.en")


def test_words_come_in_order_and_within_the_audio(heard: Transcript) -> None:
    words = [word for segment in heard.segments for word in segment.words or ()]
    times = [time for word in words for time in (word.start, word.end)]

    assert len(words) == len(text_of(TURNS).split())
    assert times == sorted(times)
    assert times[0] >= 0 and times[-1] <= TWO_TURNS_S


def test_segments_begin_where_turns_do(heard: Transcript) -> None:
    starts = [segment.start for segment in heard.segments]

    for turn in TURNS:
        assert min(abs(start - turn.start) for start in starts) < 0.3
