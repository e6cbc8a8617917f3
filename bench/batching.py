"""
Measure what batching chunks of several jobs gains: the same jobs with it and without.

    python -m bench.batching [--jobs 16] [--length 26] [--rounds 2] [--save bench/results]

`--jobs` jobs of `--length` seconds are submitted together to a stack with one worker, first with
LONGHAND_BATCH_SIZE=8, then with 1. This is done `--rounds` times with the demo model, and with a
model of the size of Whisper tiny with random weights. That model writes as many tokens as a chunk
has room for, so both settings have the same work.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.measures import Report, load_average
from bench.random_model import write_random_tiny
from bench.round_trip import running, upload, wait_for
from models.training.demo_model.clips import Clip, draw_long_clip
from worker.settings import quieten_libraries

_BATCH_SIZES = (8, 1)
_END_OF_TEXT = 50_257

_FULL_LENGTH: Mapping[str, str] = {
    "language": "en",
    "suppress_tokens": f"-1,{_END_OF_TEXT}",
    "temperature_increment": "0",
    "compression_ratio_threshold": "none",
    "logprob_threshold": "none",
    "no_speech_threshold": "none",
}
"""Options with which every chunk is decoded once, at full length, and random text is kept."""


@dataclass(frozen=True)
class Run:
    """
    All jobs, once.

    Attributes:
        tokens: The tokens of each job, in the order of the clips.
        wall_s: Seconds from the first submission to the end of the last job.
        engine_cpu_s: CPU seconds of the engine's process in that time. Other work on the machine
            changes them little.
    """

    tokens: tuple[tuple[int, ...], ...]
    wall_s: float
    engine_cpu_s: float


def cpu_seconds(pid: int) -> float:
    """CPU seconds that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_jobs(clips: Sequence[Clip], fields: Mapping[str, str], env: Mapping[str, str]) -> Run:
    """Submit all clips together to a new stack that has loaded the model."""
    with running(1, env) as (http, jobs, workers), ThreadPoolExecutor(len(clips)) as pool:
        upload(http, clips[0].path, wait="true", **fields)
        [worker] = workers.live()
        assert worker.engine_pid is not None
        before_s = cpu_seconds(worker.engine_pid)
        sent = pool.map(lambda clip: upload(http, clip.path, wait="false", **fields), clips)
        ended = [wait_for(jobs, answer["job_id"]) for answer in list(sent)]
        engine_cpu_s = cpu_seconds(worker.engine_pid) - before_s
        assert {record.status for record in ended} == {"succeeded"}, ended
        transcripts = [jobs.read_transcript(record) for record in ended]
    tokens = tuple(tuple(t for s in found.segments for t in s.tokens) for found in transcripts)
    first, last = min(r.created_at for r in ended), max(r.ended_at or 0.0 for r in ended)
    return Run(tokens, last - first, engine_cpu_s)


def compare(
    report: Report,
    name: str,
    clips: Sequence[Clip],
    n_rounds: int,
    *,
    fields: Mapping[str, str],
    env: Mapping[str, str],
) -> None:
    """Add the lines of one model, with the batch sizes one after the other."""
    audio_s = sum(clip.duration_s for clip in clips)
    runs: dict[int, list[Run]] = {size: [] for size in _BATCH_SIZES}
    for _ in range(n_rounds):
        for size, found in runs.items():
            settings = {"LONGHAND_BATCH_SIZE": str(size), "LONGHAND_SLOTS": str(len(clips))}
            before = load_average()
            found.append(run_jobs(clips, fields, {**env, **settings}))
            report.add(
                f"{name}, batch size {size}, {len(clips)} jobs of {audio_s / len(clips):.0f} s",
                f"{audio_s / found[-1].wall_s:.1f} s of audio per second "
                f"(load {before} → {load_average()}), "
                f"{audio_s / found[-1].engine_cpu_s:.1f} per CPU second of the engine",
            )
    batched, alone = (runs[size] for size in _BATCH_SIZES)
    wall = [statistics.median(run.wall_s for run in found) for found in (batched, alone)]
    cpu = [statistics.median(run.engine_cpu_s for run in found) for found in (batched, alone)]
    report.add(
        f"{name}, throughput with batching / without",
        f"{wall[1] / wall[0]:.2f}; per CPU second of the engine {cpu[1] / cpu[0]:.2f}",
    )
    pairs = list(zip(batched[0].tokens, alone[0].tokens, strict=True))
    report.add(
        f"{name}, jobs with the same tokens both ways",
        f"{sum(a == b for a, b in pairs)} of {len(pairs)}",
    )
    report.add(
        f"{name}, tokens written with batching, without",
        f"{sum(len(a) for a, _ in pairs)}, {sum(len(b) for _, b in pairs)}",
    )


def main() -> int:
    """Measure both models, print the table, and save it if `--save` is given."""
    parser = argparse.ArgumentParser(prog="python -m bench.batching", description=__doc__)
    parser.add_argument("--jobs", type=int, default=16)
    parser.add_argument("--length", type=float, default=26.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--save", type=Path, help="directory for a dated copy of the table")
    options = parser.parse_args()
    quieten_libraries()
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        models_dir = Path(folder) / "models"
        write_random_tiny(models_dir)
        clips = [
            draw_long_clip(Path(folder), options.seed + n, options.length)
            for n in range(options.jobs)
        ]
        compare(report, "demo", clips, options.rounds, fields={}, env={})
        tiny = {"LONGHAND_MODELS_DIR": str(models_dir), "LONGHAND_DEFAULT_MODEL": "tiny"}
        for beams in ("5", "1"):
            fields = {**_FULL_LENGTH, "beam_size": beams}
            name = f"random tiny, beams: {beams}"
            compare(report, name, clips, options.rounds, fields=fields, env=tiny)
    report.keep("batching", "Batching across jobs", options.save)
    return 0


if __name__ == "__main__":
    sys.exit(main())
