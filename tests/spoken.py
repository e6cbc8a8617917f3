"""Clips said by voices the demo model never heard, and what the pipeline makes of them here."""

from __future__ import annotations

import tempfile
from pathlib import Path

from models.training.demo_model.clips import (
    Clip,
    draw_clips,
    draw_long_clip,
    draw_utterances,
    write_wav,
)
from shared.request import TranscriptionRequest
from shared.transcript import Transcript
from worker.audio.source import decode
from worker.pipeline import Extras, transcribe
from worker.processes.local import LocalModels
from worker.settings import WorkerSettings

__all__ = [
    "Clip",
    "draw_clips",
    "draw_long_clip",
    "draw_utterances",
    "local_models",
    "transcribe_here",
    "write_wav",
    "written",
]


def local_models() -> LocalModels:
    """The demo model in this process, as a worker would load it."""
    return LocalModels(WorkerSettings(default_model="demo", downloads=False, device="cpu"))


def transcribe_here(
    models: LocalModels,
    path: Path,
    request: TranscriptionRequest | None = None,
    *,
    model: str = "demo",
    extras: Extras = Extras(),  # noqa: B008 - it is frozen
) -> Transcript:
    """What `worker.pipeline` gives in this process for a file."""
    with tempfile.TemporaryDirectory() as folder:
        audio = decode(path, Path(folder) / "audio.pcm")
        wanted = request or TranscriptionRequest()
        return transcribe(audio, wanted, models, lambda *_: None, model=model, extras=extras)


def written(transcript: Transcript) -> list[tuple[object, ...]]:
    """
    What is written, and when it was said.

    What else a batch holds moves the last digit of a probability, on processors of Intel also in
    int8.
    """
    return [(s.start, s.end, s.text, s.tokens) for s in transcript.segments]
