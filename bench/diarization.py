"""
Measures how much faster diarization is if what a chunk's speakers share is computed once.

    python -m bench.diarization [--chunks 8]

The embedding model has the size of those in real pipelines (WeSpeaker's ResNet34), and random
weights. Times are CPU seconds of this process.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from models.training.demo_diarization.dialogs import UNSEEN, draw_dialog
from models.training.demo_diarization.measure import write_source
from shared.settings import CHECKOUT
from worker.settings import limit_threads, quieten_libraries

_DEMO = CHECKOUT / "models" / "demo-diarization"


def measure(n_chunks: int) -> tuple[float, float, float]:
    """Seconds with pyannote.audio's own embedding stage and with ours, and how far they differ."""
    import torch
    from pyannote.audio.models.embedding import WeSpeakerResNet34
    from pyannote.audio.pipelines.speaker_diarization import SpeakerDiarization
    from pyannote.audio.pipelines.speaker_verification import (
        PyannoteAudioPretrainedSpeakerEmbedding,
    )

    from worker.diarization.pyannote_pipeline import NoPlda, load_pipeline
    from worker.models.diarization_files import read_config

    torch.set_num_threads(1)
    torch.manual_seed(0)
    ours = load_pipeline(_DEMO, read_config(_DEMO))
    parts = {part: {"checkpoint": str(_DEMO / part)} for part in ("segmentation", "embedding")}
    theirs = SpeakerDiarization(
        **parts,
        plda=NoPlda(),
        clustering="AgglomerativeClustering",
        segmentation_batch_size=8,
        embedding_batch_size=8,
    )
    embedding = PyannoteAudioPretrainedSpeakerEmbedding(WeSpeakerResNet34())
    ours._embedding = theirs._embedding = embedding
    dialog = draw_dialog(1, UNSEEN[:3], length_s=9.0 + n_chunks)
    waveform = torch.from_numpy(dialog.waveform.astype(np.float32) / 32768)[None]
    whole = {"waveform": waveform, "sample_rate": 16_000, "uri": "dialog"}
    spoken = theirs.get_segmentations(whole)
    with tempfile.TemporaryDirectory() as folder:
        spans = {"source": write_source(dialog, Path(folder) / "dialog.pcm")}
        (theirs_s, expected), (ours_s, found) = (
            _timed(pipeline, file, spoken) for pipeline, file in ((theirs, whole), (ours, spans))
        )
    return theirs_s, ours_s, float(np.abs(found - expected).max())


def _timed(pipeline: Any, file: Any, spoken: Any) -> tuple[float, Any]:
    began = time.process_time()
    found = pipeline.get_embeddings(file, spoken)
    return time.process_time() - began, found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--chunks", type=int, default=8, help="chunks of ten seconds, about")
    options = parser.parse_args()
    quieten_libraries()
    limit_threads(1)
    warnings.simplefilter("ignore")
    theirs_s, ours_s, difference = measure(options.chunks)
    print(f"pyannote.audio's own: {theirs_s:.2f} s; ours: {ours_s:.2f} s", flush=True)
    print(f"{theirs_s / ours_s:.2f} times as fast; largest difference {difference}")


if __name__ == "__main__":
    main()
