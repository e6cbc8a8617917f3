"""Compares our pipeline with faster-whisper's in one process: same audio, weights and beam."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.measures import Report
from models.training.demo_model.clips import Clip
from models.training.demo_model.scores import Errors
from shared.request import TranscriptionRequest
from worker.audio.source import decode
from worker.pipeline import join_text, transcribe
from worker.processes.cache import ModelCache
from worker.processes.local import LocalModels
from worker.settings import WorkerSettings

N_ROUNDS = 3
OURS = "Longhand"

Program = Callable[[Path], str]
"""A function that transcribes a file and returns the text."""


def open_programs(settings: WorkerSettings) -> dict[str, Program]:
    """Longhand's pipeline, one chunk at a time, and faster-whisper's two with the same settings."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    models, cache = LocalModels(settings), ModelCache(settings)
    model = WhisperModel(
        str(settings.models_dir / "demo"),
        device=cache.device,
        compute_type=cache.compute_type,
        cpu_threads=settings.n_threads,
    )
    beam_size = TranscriptionRequest.model_fields["beam_size"].default
    alike = {"beam_size": beam_size, "temperature": 0.0, "vad_filter": True}
    batched = {"batch_size": settings.batch_size, "without_timestamps": False}

    def ours(path: Path) -> str:
        with tempfile.TemporaryDirectory() as folder:
            audio = decode(path, Path(folder) / "audio.pcm")
            request = TranscriptionRequest()
            return transcribe(audio, request, models, lambda *_: None, model="demo").text

    def theirs(peer: Any, **options: Any) -> Program:
        def run(path: Path) -> str:
            found, info = peer.transcribe(str(path), **alike, **options)
            return join_text([segment.text for segment in found], info.language)

        return run

    return {
        OURS: ours,
        "WhisperModel": theirs(model, condition_on_previous_text=False),
        "BatchedInferencePipeline": theirs(BatchedInferencePipeline(model), **batched),
    }


def compare(
    report: Report, settings: WorkerSettings, short: Sequence[Clip], long: Clip
) -> dict[str, Program]:
    """Measure speed and errors of all; returns the programs, with their models loaded."""
    programs = open_programs(settings)
    for name, program in programs.items():  # loads everything
        pooled = {"en": Errors(), "zh": Errors()}
        for clip in short:
            pooled[clip.language].add(clip.text, program(clip.path), clip.language)
        rates = ", ".join(f"{language} {errors.rate:.1%}" for language, errors in pooled.items())
        report.add(f"error rate, {name}", rates)
    for label, clips in (("short clips", short), (f"one of {long.duration_s:.0f} s", [long])):
        _compare_speed(report, label, clips, programs)
    return programs


def _compare_speed(
    report: Report, label: str, clips: Sequence[Clip], programs: dict[str, Program]
) -> None:
    audio_s = sum(clip.duration_s for clip in clips)
    taken: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(N_ROUNDS):  # in turn: a busy moment then affects all alike
        for name, program in programs.items():
            started = time.perf_counter()
            for clip in clips:
                program(clip.path)
            taken[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    for name, median in medians.items():
        ratio = f", Longhand takes {medians[OURS] / median:.2f} of it" if name != OURS else ""
        report.add(f"RTF, {label}, {name}", f"{median / audio_s:.4f}{ratio}")
