"""Starts each diarizer in a process of its own; senko also has its own environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.evaluation.speakers.programs import SENKO
from bench.evaluation.speakers.scoring import Turn
from shared.settings import CHECKOUT

_SENKO = ("senko==0.2.2", "torch==2.8.0", "setuptools<81")
_PROGRAM = Path(__file__).parent / "senko_program.py"


@dataclass(frozen=True)
class Said:
    """What a diarizer finds in one file, and the CPU seconds that it took."""

    turns: tuple[Turn, ...]
    exclusive: tuple[Turn, ...]
    cpu_s: float


@dataclass(frozen=True)
class Run:
    """What one diarizer finds in all files, by their paths."""

    said: dict[Path, Said]
    rss_bytes: int


def run(name: str, models: Path, paths: Sequence[Path], work: Path) -> Run:
    """
    Let a diarizer hear files, on one core.

    Raises:
        RuntimeError: It failed; the message is its last line.
    """
    files = [str(path) for path in paths]
    if name == SENKO:
        command = [str(_senko_python(work / "senko")), str(_PROGRAM), *files]
    else:
        program = "bench.evaluation.speakers.programs"
        command = [sys.executable, "-m", program, name, str(models), *files]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=CHECKOUT, env=env, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise RuntimeError(f"{name} failed: {last}")
    *lines, last = [line for line in done.stdout.splitlines() if line.startswith("{")]
    said = {}
    for line in map(json.loads, lines):
        turns, exclusive = (tuple(tuple(t) for t in line[k]) for k in ("turns", "exclusive"))
        said[Path(line["path"])] = Said(turns, exclusive, line["cpu_s"])
    return Run(said, json.loads(last)["rss_bytes"])


def has_avx512() -> bool:
    """Whether this processor can run senko's compiled code."""
    try:
        return "avx512f" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False


def _senko_python(folder: Path) -> Path:
    python = folder / "bin" / "python"
    if not (folder / "complete").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        for command in (
            [sys.executable, "-m", "venv", str(folder)],
            [str(python), "-m", "pip", "install", "--quiet", *_SENKO],
        ):
            subprocess.run(command, check=True)
        (folder / "complete").touch()
    return python
