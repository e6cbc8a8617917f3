"""The diarizer that runs a pipeline of pyannote.audio."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.transcript import SpeakerTurn, Warned
from worker.audio.source import AudioSource
from worker.diarization.known_speakers import name_speakers
from worker.diarization.values import (
    Diarization,
    DiarizationOptions,
    count_warnings,
    one_at_a_time,
)
from worker.models.diarization_files import read_config

if TYPE_CHECKING:
    from pyannote.core import Annotation

    from worker.diarization.pyannote_pipeline import SpanDiarization

_STEPS = {"segmentation": (0.0, 0.2), "embeddings": (0.2, 0.94), "clustering": (0.94, 0.99)}
"""The part of the work of each step of a pipeline."""


class PyannoteDiarizer:
    """A loaded pipeline of pyannote.audio. For one call at a time."""

    def __init__(self, pipeline: SpanDiarization) -> None:
        self._pipeline = pipeline

    def find_turns(
        self,
        audio: AudioSource,
        options: DiarizationOptions,
        report: Callable[[float], None] = lambda fraction: None,
    ) -> Diarization:
        """See `Diarizer.find_turns`."""
        if not audio.n_samples:
            return Diarization()
        with _threshold(self._pipeline, options.clustering_threshold) as ignored:
            output = self._apply(audio, options, report)
        labels = _in_order(output.speaker_diarization)
        voices = {
            labels[label]: vector
            for label, vector in zip(
                output.speaker_diarization.labels(), output.speaker_embeddings, strict=False
            )
            if math.isfinite(sum(vector)) and any(vector)
        }
        names, known_warnings = name_speakers(
            voices, options.known_speakers, self._pipeline.embed_voice
        )
        called = {label: names.get(speaker, speaker) for label, speaker in labels.items()}
        warned = [*ignored, *count_warnings(len(labels), options), *known_warnings]
        wanted = voices if options.wants_embeddings else {}
        report(1.0)
        return Diarization(
            _turns(output.speaker_diarization, called, audio.duration_s),
            one_at_a_time(_turns(output.exclusive_speaker_diarization, called, audio.duration_s)),
            {names.get(s, s): tuple(float(x) for x in vector) for s, vector in wanted.items()},
            tuple(warned),
        )

    def _apply(
        self, audio: AudioSource, options: DiarizationOptions, report: Callable[[float], None]
    ) -> Any:
        def hook(step: str, *_: object, total: int = 0, completed: int = 0, **__: object) -> None:
            if total and step in _STEPS:
                start, end = _STEPS[step]
                report(start + (end - start) * min(completed, total) / total)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about empty means, and what we warn of ourselves
            return self._pipeline.apply(
                {"uri": "audio", "source": audio},
                num_speakers=options.num_speakers,
                min_speakers=options.min_speakers,
                max_speakers=options.max_speakers,
                hook=hook,
            )


def _in_order(found: Annotation) -> dict[Any, str]:
    """`SPEAKER_NN` for each label, in the order of appearance."""
    labels = dict.fromkeys(label for _, _, label in found.itertracks(yield_label=True))
    return {label: f"SPEAKER_{i:02d}" for i, label in enumerate(labels)}


def _turns(
    found: Annotation, called: Mapping[Any, str], duration_s: float
) -> tuple[SpeakerTurn, ...]:
    """Turns within the audio, without the last chunk's padding, rounded to milliseconds."""
    spans = (
        (called[label], max(0.0, span.start), min(span.end, duration_s))
        for span, _, label in found.itertracks(yield_label=True)
    )
    rounded = ((speaker, round(start, 3), round(end, 3)) for speaker, start, end in spans)
    turns = (
        SpeakerTurn(speaker=speaker, start=start, end=min(end, duration_s))
        for speaker, start, end in rounded
        if end > start
    )
    return tuple(sorted(turns, key=lambda turn: (turn.start, turn.end)))


@contextmanager
def _threshold(pipeline: SpanDiarization, threshold: float | None) -> Iterator[list[Warned]]:
    """Use another threshold within the block; gives a warning if the pipeline has none."""
    if threshold is None:
        yield []
        return
    tuned = pipeline.parameters(instantiated=True).get("clustering", {})
    if "threshold" not in tuned:
        message = f"{pipeline.klustering} has no clustering_threshold; it was left out"
        yield [Warned(code="option_ignored", message=message)]
        return
    pipeline.instantiate({"clustering": {"threshold": threshold}})
    try:
        yield []
    finally:
        pipeline.instantiate({"clustering": {"threshold": tuned["threshold"]}})


def open_pyannote_diarizer(folder: Path, *, device: str, threads: int) -> PyannoteDiarizer:
    """Load the pipeline in a folder."""
    config = read_config(folder)
    import torch

    from worker.diarization.pyannote_pipeline import load_pipeline

    torch.set_num_threads(threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the versions that wrote the checkpoints
        return PyannoteDiarizer(load_pipeline(folder, config, device=device))
