"""Two hundred jobs in a row: one model load, and neither memory nor descriptors grow."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from process_tree import children_of, status_bytes
from spoken import Clip

pytestmark = [pytest.mark.faults, pytest.mark.main_job]

N_JOBS = 200
WARM = 60
"""Jobs after which caches and arenas have their size."""

ALLOWED_BYTES_PER_JOB = 50_000
"""A leaked model, waveform or transcript of a clip would be more; allocators wander by less."""


def n_descriptors(pids: list[int]) -> int:
    """Files and sockets they have open."""
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)


def test_two_hundred_jobs_leave_memory_and_descriptors_as_they_were(
    open_site: Callable[..., Any], clips: Callable[[int, int], list[Clip]]
) -> None:
    site = open_site(env={"LONGHAND_SLOTS": "4"})
    drawn = clips(8, 421)
    [worker] = site.workers()
    memory, descriptors, texts = [], [], set()

    def run(n: int) -> tuple[int, str]:
        clip = drawn[n % len(drawn)]
        words = str(n % 2 == 0).lower()
        return n % len(drawn), site.transcript(
            site.upload(clip.path, word_timestamps=words, align="false")
        ).text

    with ThreadPoolExecutor(4) as pool:
        for first in range(0, N_JOBS, 4):
            texts |= set(pool.map(run, range(first, first + 4)))
            pids = [worker.pid, *children_of(worker.pid)]
            memory.append(sum(status_bytes(pid, "VmRSS") for pid in pids))
            descriptors.append(n_descriptors(pids))

    [after] = site.workers()
    assert after.n_model_loads == 1 and after.n_engine_starts == 1
    assert len(texts) == len(drawn), "a clip was transcribed in two ways"
    slope = np.polyfit(np.arange(WARM, N_JOBS, 4), memory[WARM // 4 :], 1)[0]
    assert slope < ALLOWED_BYTES_PER_JOB, f"{slope / 1000:.0f} kB a job"
    assert max(descriptors[WARM // 4 :]) <= max(descriptors[: WARM // 4]) + 2
    assert site.jobs.figures.counts() == {"queued": 0, "running": 0}
