"""What moving each threshold by a tenth does to the error of each dialogue."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from bench.evaluation.speakers.dialogues import Dialogue
from bench.evaluation.speakers.scoring import Errors, compare
from worker.audio import AudioSource, decode
from worker.diarization.clustering import Thresholds
from worker.diarization.decoding import Weights
from worker.diarization.light import LightDiarizer
from worker.diarization.timeline import Timeline
from worker.diarization.values import DiarizationOptions


@dataclass(frozen=True)
class Moved:
    """A threshold at another value, and the errors with it, by dialogue."""

    name: str
    factor: float
    value: float
    errors: Mapping[str, Errors]


class _Remembering(LightDiarizer):
    """Finds the speech of a recording once."""

    segmented: dict[Path, Timeline]

    def _segment(self, audio: AudioSource, note: Callable[[float], None]) -> Timeline:
        if audio.path not in self.segmented:
            self.segmented[audio.path] = super()._segment(audio, note)
        return self.segmented[audio.path]


def sweep(
    diarizer: LightDiarizer, dialogues: Sequence[Dialogue], factors: Sequence[float] = (0.9, 1.1)
) -> Iterator[Moved]:
    """Move one after the other; the first is none moved."""
    segmented: dict[Path, Timeline] = {}
    with tempfile.TemporaryDirectory() as folder:
        audio = {d.name: decode(d.path, Path(folder) / f"{d.name}.pcm") for d in dialogues}

        def errors(thresholds: Thresholds, weights: Weights) -> dict[str, Errors]:
            moved = _Remembering(diarizer.segmentation, diarizer.prints, thresholds, weights)
            moved.segmented = segmented
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
