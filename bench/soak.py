"""
Checks that a worker's memory does not grow: it is measured after each of many jobs.

    python -m bench.soak [--jobs 200] [--warm-up 40] [--save bench/results]

It fails if a process grows, or is replaced, after the first `--warm-up` jobs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from httpx2 import Client
from redis import Redis

from bench.measures import Report, load_average
from bench.round_trip import upload
from cli.stack import Stack
from models.training.demo_model.clips import draw_clips
from shared.workers import Workers
from worker.settings import quieten_libraries

ALLOWED_KB_PER_JOB = 20.0
"""4 MB in 200 jobs. Keeping the samples of every clip would be many times more."""

_OPTIONS: Sequence[Mapping[str, str]] = ({}, {"word_timestamps": "true"}, {"vad": "false"})
"""The options of jobs, in turn."""


@dataclass(frozen=True)
class Weight:
    """The memory of one process after a job."""

    rss_kb: int
    n_descriptors: int


def weigh(pid: int) -> Weight:
    """Read it from `/proc`; the process must be running."""
    status = Path(f"/proc/{pid}/status").read_text()
    rss_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return Weight(rss_kb, sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()))


def children_of(pid: int) -> list[int]:
    """The processes that a process started, in any of its threads."""
    found = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return sorted(int(child) for children in found for child in children)


def name_processes(stack: Stack, engine_pid: int | None) -> dict[int, str]:
    """Process ids of gateway and worker, with their names in the report."""
    worker = stack.workers[0].pid
    names = {stack.gateway.pid: "gateway", worker: "worker"}
    for n, pid in enumerate(children_of(worker)):
        # Helpers that Python's multiprocessing starts.
        is_tracker = b"resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes()
        names[pid] = "resource tracker" if is_tracker else f"child {n}"
    return names | ({engine_pid: "engine"} if engine_pid else {})


def run_jobs(
    stack: Stack, clips: Sequence[Path], n_warm_up: int
) -> tuple[dict[str, list[Weight]], int, int]:
    """
    Send the clips one after the other.

    Returns:
        The memory of each process after every job, how many models were loaded, and how many
        engine processes were started.
    """
    weights: dict[str, list[Weight]] = {}
    names: dict[int, str] = {}
    with (
        Client(base_url=stack.url, timeout=600) as http,
        Redis.from_url(stack.redis_url) as redis,
    ):
        for n, clip in enumerate(clips):
            upload(http, clip, wait="true", **_OPTIONS[n % len(_OPTIONS)])
            [record] = Workers(redis).live()
            if n <= n_warm_up:
                names = name_processes(stack, record.engine_pid)
            for pid, name in names.items():
                weights.setdefault(name, []).append(weigh(pid))
    kept = {name: weights[name] for name in names.values()}
    return kept, record.n_model_loads, record.n_engine_starts


def slope(values: Sequence[float]) -> float:
    """How much a value grows from one job to the next, by least squares."""
    return float(np.polyfit(np.arange(len(values)), values, 1)[0])


def report_growth(
    report: Report, weights: Mapping[str, Sequence[Weight]], n_counted: int
) -> list[str]:
    """Add the lines of each process; returns the names of those that grew."""
    grown = []
    for name, all_of_it in weights.items():
        counted = all_of_it[-n_counted:]
        kb_per_job = slope([weight.rss_kb for weight in counted])
        first, last = counted[0], counted[-1]
        report.add(
            f"{name}: memory after the first and the last counted job, slope",
            f"{first.rss_kb / 1024:.1f} → {last.rss_kb / 1024:.1f} MB, {kb_per_job:+.1f} kB/job",
        )
        most = max(weight.n_descriptors for weight in counted)
        report.add(
            f"{name}: descriptors after the first and the last, most",
            f"{first.n_descriptors} → {last.n_descriptors}, {most}",
        )
        if kb_per_job > ALLOWED_KB_PER_JOB or last.n_descriptors > first.n_descriptors + 2:
            grown.append(name)
    return grown


def main() -> int:
    """Run the jobs, print the table, and save it if `--save` is given."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--warm-up", type=int, default=40)
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--save", type=Path, help="directory for a dated copy of the table")
    options = parser.parse_args()
    quieten_libraries()
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        clips = [c.path for c in draw_clips(Path(folder), options.jobs, options.seed)]
        report.add("load before", load_average())
        with Stack(Path(folder) / "stack", n_workers=1) as stack:
            weights, n_loads, n_starts = run_jobs(stack, clips, options.warm_up)
    report.add("load after", load_average())
    report.add("jobs in a row, of which counted", f"{len(clips)}, {len(clips) - options.warm_up}")
    report.add("models loaded, engine processes started", f"{n_loads}, {n_starts}")
    grown = report_growth(report, weights, len(clips) - options.warm_up)
    report.add("processes that grew", ", ".join(grown) or "none")
    report.keep("soak", "Many jobs in a row", options.save)
    return 1 if grown or (n_loads, n_starts) != (1, 1) else 0


if __name__ == "__main__":
    sys.exit(main())
