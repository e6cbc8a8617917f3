"""What dies, and what must not be lost with it: whole stacks, killed for real."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spoken import Clip, draw_long_clip, transcribe_here, written
from waiting import wait_until

from shared.request import TranscriptionRequest
from shared.transcript import Transcript
from worker.processes.local import LocalModels

pytestmark = [pytest.mark.faults, pytest.mark.main_job]

LEASE_S = 10
"""A third of the default, so that the tests wait less."""

RECOVERY_S = 40
LONG_S = 80

AS_COMPLETED = TranscriptionRequest(chinese="none")
"""A request that asks for nothing, as the gateway hands it on: with the site's script."""


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Speech that keeps a worker busy for long enough to be disturbed."""
    return draw_long_clip(tmp_path_factory.mktemp("long"), seed=1, length_s=LONG_S)


@pytest.fixture(scope="module")
def undisturbed(models: LocalModels, long_clip: Clip) -> Transcript:
    """What the pipeline makes of it where nothing goes wrong."""
    return transcribe_here(models, long_clip.path, AS_COMPLETED)


def test_a_job_whose_worker_is_killed_succeeds_on_the_other(
    open_site: Callable[..., Any], long_clip: Clip, undisturbed: Transcript
) -> None:
    site = open_site(n_workers=2, env={"LONGHAND_LEASE_S": str(LEASE_S)})
    job_id = site.upload(long_clip.path)
    wait_until(lambda: 0.05 < site.job(job_id).progress < 1, 120, "the job is in its middle")
    victim = site.job(job_id).worker

    os.kill(site.worker(victim).pid, signal.SIGKILL)
    killed_at = time.time()
    at_death = site.job(job_id)
    wait_until(lambda: site.job(job_id).attempt == 2, 3 * RECOVERY_S, "the job is given on")
    wait_until(lambda: site.job(job_id).worker not in (None, victim), 3 * RECOVERY_S, "it is taken")
    transcript = site.transcript(job_id)

    assert at_death.status == "running" and at_death.worker == victim
    record = site.job(job_id)
    assert record.attempt == 2
    assert record.worker != victim
    assert record.started_at - killed_at < RECOVERY_S
    assert (transcript.text, written(transcript)) == (undisturbed.text, written(undisturbed))


def test_jobs_survive_the_death_of_the_engine_without_an_attempt_spent(
    open_site: Callable[..., Any], models: LocalModels, tmp_path: Path
) -> None:
    site = open_site(n_workers=1, env={"LONGHAND_SLOTS": "8"})
    clip = draw_long_clip(tmp_path, seed=2, length_s=20)
    [worker] = site.workers()

    ids = [site.upload(clip.path)]
    wait_until(lambda: site.job(ids[0]).stage == "transcribe", 120, "a job in the engine")
    # Held still in the middle of a batch, it cannot finish a job before the last has come.
    os.kill(worker.engine_pid, signal.SIGSTOP)
    ids += [site.upload(clip.path) for _ in range(7)]
    wait_until(lambda: all(site.job(i).status != "queued" for i in ids), 120, "eight jobs in hand")
    os.kill(worker.engine_pid, signal.SIGKILL)
    at_death = [site.job(job_id) for job_id in ids]
    found = [site.transcript(job_id) for job_id in ids]

    assert [record.status for record in at_death] == ["running"] * 8
    assert [site.job(job_id).attempt for job_id in ids] == [1] * 8
    expected = written(transcribe_here(models, clip.path, AS_COMPLETED))
    assert [written(transcript) for transcript in found] == [expected] * 8
    wait_until(lambda: site.workers()[0].n_engine_starts == 2, 30, "the worker tells")
    assert site.workers()[0].pid == worker.pid


def test_queued_jobs_survive_a_restart_of_redis(
    open_site: Callable[..., Any],
    models: LocalModels,
    clips: Callable[[int, int], list[Clip]],
) -> None:
    site = open_site(n_workers=0)
    drawn = clips(10, 4)
    ids = [site.upload(clip.path) for clip in drawn]
    queued = [site.job(job_id).status for job_id in ids]

    site.stack.stop_redis()
    site.stack.start_redis()
    site.stack.start_worker()
    found = [site.transcript(job_id).text for job_id in ids]

    assert queued == ["queued"] * 10
    assert found == [transcribe_here(models, clip.path).text for clip in drawn]


def test_a_job_outlives_thirty_seconds_without_redis_and_ends_once(
    open_site: Callable[..., Any], long_clip: Clip, undisturbed: Transcript
) -> None:
    site = open_site(n_workers=2)
    job_id = site.upload(long_clip.path)
    wait_until(lambda: 0.05 < site.job(job_id).progress < 1, 120, "the job is in its middle")

    before = site.job(job_id)
    site.stack.kill_redis()
    gone_at = time.monotonic()
    wait_until(lambda: time.monotonic() - gone_at > 30, 60, "thirty seconds pass")
    site.stack.start_redis()
    transcript = site.transcript(job_id)

    assert before.status == "running"
    record = site.job(job_id)
    assert record.attempt == 1
    assert record.worker == before.worker
    assert (transcript.text, written(transcript)) == (undisturbed.text, written(undisturbed))
    results = list((site.stack.storage_dir / "jobs" / job_id).glob("*/result.json"))
    assert len(results) == 1


def test_a_cancelled_job_leaves_its_worker_free_and_nothing_stored(
    open_site: Callable[..., Any], clips: Callable[[int, int], list[Clip]], long_clip: Clip
) -> None:
    site = open_site(n_workers=1, env={"LONGHAND_SLOTS": "1"})
    job_id = site.upload(long_clip.path)
    wait_until(lambda: site.job(job_id).stage == "transcribe", 120, "the job is in its middle")

    answer = site.http.delete(f"/jobs/{job_id}")
    [other] = clips(1, 7)
    text = site.transcript(site.upload(other.path)).text

    assert answer.status_code == 200
    assert site.http.get(f"/jobs/{job_id}").status_code == 404
    assert text
    assert not (site.stack.storage_dir / "jobs" / job_id).exists()
