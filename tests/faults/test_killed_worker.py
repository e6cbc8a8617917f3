"""A worker killed in the middle of a long job: what was done is not done again."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spoken import draw_long_clip, transcribe_here, written
from waiting import wait_until

from shared.request import TranscriptionRequest
from worker.decoding.checkpoints import NoCheckpoint
from worker.decoding.lanes import DecodedChunk
from worker.pipeline import Extras
from worker.processes.local import LocalModels
from worker.settings import WorkerSettings

pytestmark = [pytest.mark.faults, pytest.mark.main_job]

LENGTH_S = 700
WORK_S = 20
"""Work that a job here is at least, on an idle machine: enough to be killed in the midst of it."""

EXACT = {"temperature": "0", "temperature_increment": "0", "beam_size": "20"}


def n_decoded(log: str) -> int:
    """Chunks that a worker's engine decoded, by its log."""
    return sum(map(int, re.findall(r"(\d+) chunks decoded", log)))


class CountedChunks(NoCheckpoint):
    """Counts the chunks of a job that nothing disturbs."""

    def __init__(self) -> None:
        self.n = 0

    def keep(self, index: int, chunk: DecodedChunk, next_index: int | None) -> None:
        """See `Checkpoint.keep`."""
        self.n += 1


def test_a_job_killed_at_sixty_percent_goes_on_at_its_last_chunk(
    open_site: Callable[..., Any], tmp_path: Path
) -> None:
    site = open_site(
        n_workers=2,
        env={
            "LONGHAND_LEASE_S": "10",
            "LONGHAND_COMPUTE_TYPE": "float32",
            "LONGHAND_LOG_LEVEL": "debug",
        },
    )
    clip = draw_long_clip(tmp_path, seed=401, length_s=LENGTH_S)
    job_id = site.upload(clip.path, **EXACT)
    wait_until(lambda: site.job(job_id).progress >= 0.6, 400, "the job is at sixty percent")

    before, seen_at = site.job(job_id), time.time()
    victim = next(w for w in site.stack.workers if w.pid == site.worker(before.worker).pid)
    os.kill(victim.pid, signal.SIGKILL)
    at_death = site.job(job_id)
    plan_and_chunks = site.jobs.runs.chunks.read(job_id)
    wait_until(lambda: site.job(job_id).attempt == 2, 120, "the job is given on")
    wait_until(lambda: site.job(job_id).worker not in (None, before.worker), 120, "it is taken")
    transcript = site.transcript(job_id, deadline_s=400)

    assert at_death.status == "running" and at_death.worker == before.worker
    assert 0.6 <= at_death.progress < 0.9
    work_s = (seen_at - before.started_at) / before.progress
    assert work_s >= WORK_S, "the job is too short to show anything"
    assert plan_and_chunks is not None and plan_and_chunks[1]
    killed = site.stack.workers.index(victim)
    logs = [site.stack.log_path(f"worker-{n}").read_text(errors="replace") for n in (1, 2)]
    if killed == 1:
        logs.reverse()
    said = re.search(r"goes on after (\d+) chunks", logs[1])
    assert said is not None
    n_kept = int(said.group(1))
    models = LocalModels(
        WorkerSettings(default_model="demo", downloads=False, device="cpu", compute_type="float32")
    )
    request = TranscriptionRequest.model_validate({**EXACT, "chinese": "none"})
    counted = CountedChunks()
    undisturbed = transcribe_here(models, clip.path, request, extras=Extras(counted))
    assert 0.5 * counted.n < n_kept < counted.n
    assert n_decoded(logs[1]) == counted.n - n_kept
    assert 0 <= n_decoded(logs[0]) - n_kept <= 1, "more than the chunk in hand was lost"
    assert transcript.text == undisturbed.text
    assert written(transcript) == written(undisturbed)
    assert len(transcript.segments) > 40
    assert site.jobs.runs.chunks.read(job_id) is None
