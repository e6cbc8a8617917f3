"""Measures a whole stack: what HTTP, Redis and storage add, and what workers do."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from httpx2 import Client
from redis import Redis

from bench.measures import Report
from cli.stack import Stack
from models.training.demo_model.clips import Clip
from shared.jobs import Jobs
from shared.records import JobRecord, StoredAudio, new_job_id
from shared.request import TranscriptionRequest
from shared.storage import open_storage
from shared.workers import Workers

_DEADLINE_S = 600.0


class Site(NamedTuple):
    """A stack as its callers see it, with its jobs and the records of its workers."""

    http: Client
    jobs: Jobs
    workers: Workers


@contextmanager
def running(n_workers: int, env: Mapping[str, str] | None = None) -> Iterator[Site]:
    """Start a new stack with further settings."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(Path(folder), n_workers=n_workers, env=env) as stack,
        Client(base_url=stack.url, timeout=_DEADLINE_S) as http,
        Redis.from_url(stack.redis_url) as redis,
    ):
        jobs = Jobs(redis, open_storage(stack.storage_dir), lease_s=30, max_attempts=3)
        yield Site(http, jobs, Workers(redis))


def upload(http: Client, path: Path, *, wait: str, **fields: str) -> Any:
    """Submit a file with form fields; returns the answer, with `wait` after the job has ended."""
    with path.open("rb") as file:
        answer = http.post(
            "/transcribe/file",
            files={"file": file},
            data=fields,
            params={"wait": wait, "cache": "false"},
        )
    assert answer.status_code == (200 if wait == "true" else 202), answer.text
    return answer.json()


def wait_for(jobs: Jobs, job_id: str) -> JobRecord:
    """Wait until a job has ended, and return it."""
    deadline = time.monotonic() + _DEADLINE_S
    while not (record := jobs.get(job_id)).status.is_final:
        assert time.monotonic() < deadline, record
        time.sleep(0.005)
    return record


def times_of(run: Callable[[], object], n: int) -> list[float]:
    """Seconds of each of `n` runs, after a first one that does not count."""
    run()
    taken = []
    for _ in range(n):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return taken


def measure_overhead(
    report: Report, clip: Clip, program: Callable[[Path], str], n_jobs: int
) -> None:
    """Measure from upload to result on one idle worker, and from enqueuing to the claim."""
    name = f"clip of {clip.duration_s:.0f} s"
    here = times_of(lambda: program(clip.path), n_jobs)
    report.add_quantiles(f"{name}, in process", here, 0.5, 0.95)
    with running(1) as (http, jobs, _):
        taken = times_of(lambda: upload(http, clip.path, wait="true"), n_jobs)
        late = [claimed_after_s(jobs) for _ in range(5 * n_jobs)]
    report.add_quantiles(f"{name}, upload to result", taken, 0.5, 0.95)
    over = [seconds - statistics.median(here) for seconds in taken]
    report.add_quantiles(f"{name}, of this not the pipeline", over, 0.5, 0.95)
    report.add_quantiles(f"enqueue to claim, {len(late)} jobs", late, 0.5, 0.99)


def claimed_after_s(jobs: Jobs) -> float:
    """How late an idle worker claims a job. The job has no audio and fails immediately."""
    audio = StoredAudio(key="jobs/none", filename="", n_bytes=0, sha256="", duration_s=0)
    job_id = new_job_id()
    jobs.submit(job_id, TranscriptionRequest(), audio)
    record = wait_for(jobs, job_id)
    assert record.started_at is not None
    return record.started_at - record.created_at


def measure_throughput(report: Report, clips: Sequence[Clip]) -> None:
    """Measure short clips with one worker and with two."""
    for n_workers in (1, 2):
        with running(n_workers) as (http, jobs, _), ThreadPoolExecutor(8) as pool:
            answers = pool.map(lambda clip: upload(http, clip.path, wait="false"), clips)  # noqa: B023
            ended = [wait_for(jobs, answer["job_id"]) for answer in list(answers)]
        assert {record.status for record in ended} == {"succeeded"}
        taken_s = max(r.ended_at or 0 for r in ended) - min(r.created_at for r in ended)
        name = f"{len(clips)} short clips, workers: {n_workers}"
        report.add(name, f"{len(clips) / taken_s:.2f} jobs/s")
