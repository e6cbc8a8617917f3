"""
Transcribe files in a process of its own: `python hearing.py MODELS_DIR MODEL,… FILE…`.

What is set before a process begins, as CT2_USE_MKL, is only tried in another one, and memory is
only told apart there from what else is held. For each model, and each file, it writes a line of
JSON: `Heard`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]


class Heard(NamedTuple):
    """
    What a process made of a file.

    Attributes:
        peak_bytes: The most that Python and numpy held meanwhile, beyond what they held before.
            What the engine's own allocator keeps differs from run to run.
    """

    text: str
    peak_bytes: int


def hear_apart(
    models_dir: Path,
    models: Sequence[str],
    paths: Sequence[Path],
    env: Mapping[str, str] | None = None,
) -> list[Heard]:
    """Transcribe all files with each model, one after the other, in one new process."""
    command = [sys.executable, __file__, str(models_dir), ",".join(models), *map(str, paths)]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, **(env or {})},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return [Heard(**json.loads(line)) for line in done.stdout.splitlines()]


def main(models_dir: str, names: str, *paths: str) -> None:
    """Transcribe, and tell."""
    from worker.settings import WorkerSettings, quieten_libraries

    quieten_libraries()
    from spoken import transcribe_here

    from worker.processes.local import LocalModels

    models = LocalModels(
        WorkerSettings(
            models_dir=Path(models_dir),
            default_model=names.partition(",")[0],
            downloads=False,
            device="cpu",
        )
    )
    for model, path in product(names.split(","), paths):
        tracemalloc.start()
        text = transcribe_here(models, Path(path), model=model).text
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        sys.stdout.write(json.dumps({"text": text, "peak_bytes": peak_bytes}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
