"""
Measure Longhand with the demo model on this machine, against faster-whisper in the same run.

    python -m bench [--jobs 30] [--clips 40] [--seed 8] [--device auto] [--save bench/results]

`--jobs` jobs are sent by HTTP, one after the other. `--clips` short clips are chosen at random, by
`--seed`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench.measures import Report
from bench.peers import OURS, compare
from bench.round_trip import measure_overhead, measure_throughput
from models.training.demo_model.clips import draw_clips, draw_long_clip
from worker.settings import WorkerSettings, limit_threads, quieten_libraries

_LONG_S = 120


def main() -> int:
    """Measure, print the table, and save it if `--save` is given."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--jobs", type=int, default=30)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--save", type=Path, help="directory for a dated copy of the table")
    options = parser.parse_args()
    settings = WorkerSettings(default_model="demo", downloads=False, device=options.device)
    quieten_libraries()
    limit_threads(settings.n_threads)
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        short = draw_clips(Path(folder), options.clips, options.seed)
        long = draw_long_clip(Path(folder), options.seed, _LONG_S)
        ten = draw_long_clip(Path(folder), options.seed + 1, 10)
        programs = compare(report, settings, short, long)
        measure_overhead(report, ten, programs[OURS], options.jobs)
        measure_throughput(report, short)
    report.keep("bench", "Benchmark", options.save)
    return 0


if __name__ == "__main__":
    sys.exit(main())
