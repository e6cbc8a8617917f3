"""
Measure diarization, compared with senko and with pyannote.audio: `make eval-speakers`.

    python -m bench.evaluation.speakers [--quick] [--save DIR]

pyannote.audio has the same weights. Thresholds were chosen on D1 to D3, pyannote's sample and the
dialogues V; the dialogues R have other voices. It ends with status 1 if a
bar does not hold, and 2 if nothing could be measured.
"""

from __future__ import annotations

import argparse
import sys
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.evaluation.speakers.dialogues import Dialogue, all_dialogues, long_recording
from bench.evaluation.speakers.programs import OURS, PYANNOTE, SENKO
from bench.evaluation.speakers.running import Run, has_avx512, run
from bench.evaluation.speakers.sweep import sweep
from bench.evaluation.speakers.table import Measured, Table
from bench.evaluation.speakers.words import hear_words
from bench.evaluation.speech import SPEECH
from bench.measures import keep
from shared.settings import CHECKOUT
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.diarization.onnx_diarizer import open_onnx_diarizer
from worker.models.diarization_files import LIGHT, diarizer_files
from worker.models.fetching import NotFetched
from worker.models.store import ModelStore
from worker.settings import WorkerSettings, limit_threads, quieten_libraries

_LONG_S, _QUICK_LONG_S = 1800.0, 120.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the report, and save it if `--save` is given."""
    options = _parser().parse_args(arguments)
    quieten_libraries()
    limit_threads(1)
    try:
        dialogues = all_dialogues(options.speech, options.work / "dialogues")
        store = ModelStore.of(WorkerSettings(downloads=True))
        folder = store.pull(diarizer_files(LIGHT))
        store.pull(store.files_of("model", "base"))
    except (FileNotFoundError, NotFetched) as error:
        print(error, file=sys.stderr)
        return 2
    if options.quick:
        dialogues = [d for d in dialogues if d.name in ("sample", "D1", "R3a")]
    table = Table(_measure(dialogues, folder, options))
    keep("eval-speakers", "Who speaks", table.text(), options.save)
    return 0 if table.holds else 1


def _measure(dialogues: list[Dialogue], folder: Path, options: argparse.Namespace) -> Measured:
    models = folder.parent
    names = [OURS, PYANNOTE, *([SENKO] if has_avx512() else [])]
    runs: dict[str, Run] = {}
    for name in names:
        # Not compared with others on dialogues on which our own thresholds were chosen.
        heard = [d.path for d in dialogues if name == OURS or not d.name.startswith("V")]
        print(f"{name}: {len(heard)} dialogues", file=sys.stderr, flush=True)
        runs[name] = run(name, models, heard, options.work)
    long_s = _QUICK_LONG_S if options.quick else _LONG_S
    path = options.work / "dialogues" / "long.wav"
    _write(path, long_recording(dialogues, long_s))
    print(f"{OURS}: {long_s:.0f} s in one", file=sys.stderr, flush=True)
    long_run = run(OURS, models, [path], options.work)
    print("words", file=sys.stderr, flush=True)
    words = hear_words(dialogues, models)
    print("thresholds", file=sys.stderr, flush=True)
    moved = list(sweep(open_onnx_diarizer(folder, threads=1), dialogues))
    return Measured(dialogues, runs, words, moved, long_run, long_s)


def _write(path: Path, samples: np.ndarray) -> None:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.evaluation.speakers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="three dialogues and two minutes: does it work?")
    add("--speech", type=Path, default=SPEECH, help="the recordings; ../shared/speech")
    add("--work", type=Path, default=CHECKOUT / "data" / "evaluation", help="data/evaluation")
    add("--save", type=Path, help="directory for a dated copy of the report")
    return parser


if __name__ == "__main__":
    sys.exit(main())
