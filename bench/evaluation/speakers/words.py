"""Gives speakers to the words of dialogues, as `base` transcribes them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.evaluation.speakers.dialogues import Dialogue
from bench.evaluation.speakers.running import Said
from bench.evaluation.speakers.scoring import right_words
from shared.transcript import Segment, SpeakerTurn

MODEL = "base"


def hear_words(dialogues: Sequence[Dialogue], models: Path) -> dict[str, list[Segment]]:
    """Segments with words, by the name of each dialogue."""
    from shared.request import TranscriptionRequest
    from worker.audio.source import decode
    from worker.pipeline import transcribe
    from worker.processes.local import LocalModels
    from worker.settings import WorkerSettings

    settings = WorkerSettings(
        default_model=MODEL, device="cpu", engine_threads=1, downloads=False, models_dir=models
    )
    local, found = LocalModels(settings), {}
    for dialogue in dialogues:
        with tempfile.TemporaryDirectory() as folder:
            audio = decode(dialogue.path, Path(folder) / "audio.pcm")
            request = TranscriptionRequest(word_timestamps=True)
            heard = transcribe(audio, request, local, lambda *_: None, model=MODEL)
        found[dialogue.name] = list(heard.segments)
    return found


def count_right(
    dialogue: Dialogue, segments: Sequence[Segment], said: Said, names: dict[str, str]
) -> tuple[int, int]:
    """How many words have the right speaker, and how many words there are."""
    from worker.diarization.assignment import assign_speakers

    turns = [SpeakerTurn(speaker=s, start=a, end=b) for s, a, b in said.turns if b > a]
    exclusive = [SpeakerTurn(speaker=s, start=a, end=b) for s, a, b in said.exclusive if b > a]
    words = list(_words(assign_speakers(segments, turns, exclusive)))
    return right_words(words, dialogue.turns, names), len(words)


def _words(segments: Sequence[Segment]) -> Iterator[tuple[str | None, float, float]]:
    for segment in segments:
        for word in segment.words or ():
            yield word.speaker, word.start, word.end
