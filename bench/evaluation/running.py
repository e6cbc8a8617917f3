"""Lets each system hear each file, in a process of its own; continues after an interruption."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.evaluation.heard import Heard
from bench.evaluation.sets import LONG, WORDS, Item
from bench.evaluation.systems import SYSTEMS, weights_of
from shared.catalogue import MODELS
from shared.settings import CHECKOUT

_PATIENCE_S = 5.0
_PROGRAM = (sys.executable, "-m", "bench.evaluation.hearing")


class SystemFailed(Exception):
    """A process ended before its work was done; the message has the last lines that it wrote."""


@dataclass(frozen=True)
class Run:
    """One system with one model, and the files it hears."""

    system: str
    model: str
    items: tuple[Item, ...]

    @property
    def name(self) -> str:
        """The name that is shown."""
        return f"{self.system}, {self.model}"


Results = dict[tuple[str, str], list[tuple[Item, Heard]]]
"""Every file with what was heard in it, by system and model."""


def plan(systems: Sequence[str], models: Sequence[str], items: Sequence[Item]) -> list[Run]:
    """Which system hears what: English models hear only English, slow ones one long file a half."""
    return [Run(s, m, tuple(_items_for(s, m, items))) for m in models for s in systems]


def _items_for(system: str, model: str, items: Sequence[Item]) -> list[Item]:
    heard, halves = [], set()
    for item in items:
        if item.language != "en" and not MODELS[model].is_multilingual:
            continue
        if item.set_name == LONG and not SYSTEMS[system].hears_all:
            if item.half in halves:
                continue
            halves.add(item.half)
        heard.append(item)
    return heard


class Runner:
    """
    The processes that work, and the folder with their results.

    Args:
        folder: A result there counts if its name says that code and file were the same.
        program: It gets the names of system and model; see `bench.evaluation.hearing`.
    """

    def __init__(self, folder: Path, program: Sequence[str] = _PROGRAM) -> None:
        self._folder = folder
        self._program = program
        self._processes: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._is_ending = False

    def run(self, runs: Sequence[Run], n_at_once: int = 1) -> Results:
        """
        Do what is not done yet.

        Raises:
            SystemFailed: A system failed. All processes are stopped, as at Ctrl-C.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        pool = ThreadPoolExecutor(n_at_once)
        try:
            numbered = enumerate(runs, start=1)
            ends = [pool.submit(self._do, r, f"[{i}/{len(runs)}] {r.name}") for i, r in numbered]
            done, _ = wait(ends, return_when=FIRST_EXCEPTION)
            for end in done:
                end.result()
            return {(r.system, r.model): end.result() for r, end in zip(runs, ends, strict=True)}
        finally:
            self._end()
            pool.shutdown(cancel_futures=True)

    def _do(self, run: Run, label: str) -> list[tuple[Item, Heard]]:
        key = _key(run)
        paths = {item: self._path(run, item, key) for item in run.items}
        left = [item for item, path in paths.items() if not path.exists()]
        if left:
            _tell(f"{label}: {len(left)} of {len(paths)} files to hear")
            self._hear(run, left, paths, label)
        return [
            (item, Heard.from_json(path.read_text(encoding="utf-8")))
            for item, path in paths.items()
        ]

    def _hear(self, run: Run, left: list[Item], paths: dict[Item, Path], label: str) -> None:
        log = self._folder / f"{run.system}-{run.model}.log"
        process = self._start(run, log)
        try:
            warm_up = min(left, key=lambda item: item.duration_s)
            _ask(process, warm_up, log)  # some load parts only at the first file
            for n, item in enumerate(left, start=1):
                heard = _ask(process, item, log)
                part = paths[item].with_suffix(".part")
                part.write_text(heard.to_json(), encoding="utf-8")
                part.replace(paths[item])
                _tell(f"{label}: {n}/{len(left)} {item.name}, {heard.cpu_s:.1f} CPU-s")
        finally:
            self._close(process)

    def _start(self, run: Run, log: Path) -> subprocess.Popen[str]:
        with self._lock, log.open("w", encoding="utf-8") as errors:
            if self._is_ending:
                raise SystemFailed("ended before it began")
            process = subprocess.Popen(
                [*self._program, run.system, run.model],
                cwd=CHECKOUT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
            self._processes.add(process)
        return process

    def _close(self, process: subprocess.Popen[str]) -> None:
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                pipe.close()
        process.terminate()
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with self._lock:
            self._processes.discard(process)

    def _end(self) -> None:
        with self._lock:
            self._is_ending = True
            for process in self._processes:
                process.kill()  # the reader sees the end of it

    def _path(self, run: Run, item: Item, key: str) -> Path:
        parts = [key, item.sha256, item.set_name == WORDS]
        digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        name = item.name.replace(" ", "-")
        return self._folder / f"{run.system}-{run.model}-{name}-{digest[:16]}.json"


def _key(run: Run) -> str:
    """All that the text depends on except the file: code, weights, and the number format."""
    folder = weights_of(run.model)
    found = (folder / "model.bin").stat()
    backend = os.environ.get("CT2_USE_MKL", "")
    parts = [SYSTEMS[run.system].fingerprint, run.model, found.st_size, found.st_mtime_ns, backend]
    return json.dumps(parts)


def _ask(process: subprocess.Popen[str], item: Item, log: Path) -> Heard:
    task = {"path": str(item.path), "words": item.set_name == WORDS}
    answer = ""
    with suppress(OSError, ValueError):
        process.stdin.write(json.dumps(task) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
    if not answer:
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = said[-1] if said else "it said nothing"
        raise SystemFailed(f"{log.stem} ended at {item.name}: {last} (all of it: {log})")
    return Heard.from_json(answer)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
