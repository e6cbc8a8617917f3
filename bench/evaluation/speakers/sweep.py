"""Measures how errors change if each threshold is moved by a tenth."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from bench.evaluation.speakers.dialogues import Dialogue
from bench.evaluation.speakers.scoring import Errors, compare
from worker.audio.source import AudioSource, decode
from worker.diarization.clustering import Thresholds
from worker.diarization.embedding_extraction import Embeddings
from worker.diarization.onnx_diarizer import OnnxDiarizer
from worker.diarization.resegmentation import Weights
from worker.diarization.timeline import Timeline
from worker.diarization.values import DiarizationOptions


@dataclass(frozen=True)
class Moved:
    """A threshold at another value, and the errors with it, by dialogue."""

    name: str
    factor: float
    value: float
    errors: Mapping[str, Errors]


class _Remembering(OnnxDiarizer):
    """Computes each value once that does not depend on the thresholds."""

    remembered: dict[Any, Any]

    def _segment(self, audio: AudioSource, report: Callable[[float], None]) -> Timeline:
        return self._once(audio.path, lambda: super(_Remembering, self)._segment(audio, report))

    def _extract(
        self,
        audio: AudioSource,
        timeline: Timeline,
        spans: Sequence[tuple[int, int]],
        report: Callable[[float], None],
    ) -> Embeddings:
        taken = super()._extract
        return self._once((audio.path, tuple(spans)), lambda: taken(audio, timeline, spans, report))

    def _once(self, key: Any, work: Callable[[], Any]) -> Any:
        if key not in self.remembered:
            self.remembered[key] = work()
        return self.remembered[key]


def sweep(
    diarizer: OnnxDiarizer, dialogues: Sequence[Dialogue], factors: Sequence[float] = (0.9, 1.1)
) -> Iterator[Moved]:
    """Move one threshold after the other; the first result is without a move."""
    remembered: dict[Any, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        audio = {d.name: decode(d.path, Path(folder) / f"{d.name}.pcm") for d in dialogues}

        def errors(thresholds: Thresholds, weights: Weights) -> dict[str, Errors]:
            moved = _Remembering(diarizer.segmentation, diarizer.embedding, thresholds, weights)
            moved.remembered = remembered
            found = {d: moved.find_turns(audio[d.name], DiarizationOptions()) for d in dialogues}
            return {
                d.name: compare(d.turns, [(t.speaker, t.start, t.end) for t in turns.turns])
                for d, turns in found.items()
            }

        thresholds, weights = Thresholds(), Weights()
        yield Moved("", 1.0, 0.0, errors(thresholds, weights))
        for field in fields(Thresholds):
            for factor in factors:
                value = getattr(thresholds, field.name) * factor
                changed = replace(thresholds, **{field.name: value})
                yield Moved(field.name, factor, value, errors(changed, weights))
        for field in fields(Weights):
            for factor in factors:
                value = getattr(weights, field.name) * factor
                changed_weights = replace(weights, **{field.name: value})
                yield Moved(field.name, factor, value, errors(thresholds, changed_weights))
