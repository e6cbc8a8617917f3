"""One attempt at a job, from claim to end."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from attempts import attempt, error_of
from child_services import Echo
from redis import Redis
from spoken import Clip, transcribe_here
from waiting import wait_until

from shared.errors import StorageFull
from shared.generations import Generations
from shared.jobs import Jobs
from shared.storage import Storage, open_storage
from worker.job import WorkerServices
from worker.jobs.leases import Leases
from worker.processes.local import LocalModels
from worker.processes.pooled import PooledModels, SharedProcesses
from worker.settings import WorkerSettings


class StorageThat:
    """A real storage that does something before an object is created."""

    def __init__(self, storage: Storage, before: Callable[[str], None]) -> None:
        self._storage = storage
        self._before = before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def create(self, key: str) -> Any:
        self._before(key)
        return self._storage.create(key)


@pytest.fixture(scope="session")
def processes(demo_model: Path) -> Iterator[SharedProcesses]:
    """The children of a worker, started once."""
    settings = WorkerSettings(default_model="demo", downloads=False, device="cpu")
    with SharedProcesses(settings).running() as processes:
        yield processes


@pytest.fixture
def services(
    settings: WorkerSettings, jobs: Jobs, processes: SharedProcesses, tmp_path: Path
) -> WorkerServices:
    scratch = tmp_path / "own"
    scratch.mkdir()
    storage = open_storage(settings.storage_dir)
    leases = Leases(jobs.runs, lambda: None)
    generations = Generations(jobs._redis)
    return WorkerServices(
        settings, "worker-a", jobs, storage, generations, leases, processes, scratch
    )


def test_a_job_becomes_its_transcript(
    services: WorkerServices,
    submit: Callable[..., str],
    clips: Callable[[int, int], list[Clip]],
    models: LocalModels,
) -> None:
    [clip] = clips(1, 11)
    record = attempt(services, submit(clip.path.read_bytes()))

    assert (record.status, record.progress, record.worker) == ("succeeded", 1.0, "worker-a")
    assert services.jobs.read_transcript(record) == transcribe_here(models, clip.path)


def test_what_is_no_audio_fails_as_unreadable(
    services: WorkerServices, submit: Callable[..., str]
) -> None:
    code, message = error_of(attempt(services, submit(b"text, not sound" * 99)))

    assert code == "audio_unreadable"
    assert message.startswith("the audio cannot be decoded")


def test_audio_that_is_gone_fails_as_unreadable(
    services: WorkerServices, submit: Callable[..., str]
) -> None:
    job_id = submit(b"x")
    services.storage.delete_all(f"jobs/{job_id}")

    assert error_of(attempt(services, job_id)) == (
        "audio_unreadable",
        "the audio of this job is no longer in storage",
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [(OSError(errno.EIO, "disk on fire"), "engine_failed"), (None, "storage_full")],
)
def test_a_result_that_cannot_be_stored_fails_the_job_at_once(
    services: WorkerServices,
    submit: Callable[..., str],
    clips: Callable[[int, int], list[Clip]],
    redis: Redis,
    error: OSError | None,
    code: str,
) -> None:
    def refuse(key: str) -> None:
        if key.endswith("result.json"):
            raise error or StorageFull("storage is full; free space")

    storage: Any = StorageThat(services.storage, refuse)
    full = Jobs(redis, storage, lease_s=30, max_attempts=3)
    leases = Leases(full.runs, lambda: None)
    full_services = replace(services, jobs=full, storage=storage, leases=leases)
    [clip] = clips(1, 12)

    found = error_of(attempt(full_services, submit(clip.path.read_bytes())))

    assert found[0] == code


def test_a_slip_that_comes_twice_does_nothing(
    services: WorkerServices, submit: Callable[..., str]
) -> None:
    job_id = submit(b"no audio")
    before = attempt(services, job_id)
    after = attempt(services, job_id)

    assert after == before


def test_a_job_begins_again_when_its_audio_process_was_killed(tmp_path: Path) -> None:
    processes = SharedProcesses(WorkerSettings(default_model="demo"))
    processes.audio = type(processes.audio)(Echo, "echo", 1)
    try:
        found = PooledModels(processes, lambda: None)._in_audio_child(
            "die_once", str(tmp_path / "mark"), report=print
        )
    finally:
        processes.audio.stop()

    assert found == "alive"


def test_the_job_after_a_reload_has_its_model_read_anew(
    services: WorkerServices,
    submit: Callable[..., str],
    clips: Callable[[int, int], list[Clip]],
) -> None:
    [clip] = clips(1, 14)
    data = clip.path.read_bytes()

    def n_loads_after_a_job() -> int:
        assert attempt(services, submit(data)).status == "succeeded"
        return int(services.processes.batcher.status.n_model_loads)

    before = n_loads_after_a_job()
    again = n_loads_after_a_job()
    services.generations.advance()
    after = n_loads_after_a_job()

    assert (again - before, after - before) == (0, 1)
    assert n_loads_after_a_job() == after


def test_a_model_that_nobody_uses_leaves_the_engine_and_comes_back(demo_model: Path) -> None:
    settings = WorkerSettings(default_model="demo", downloads=False, device="cpu", model_ttl_s=0.5)
    with SharedProcesses(settings).running() as processes:
        models = PooledModels(processes, lambda: None)
        models.load("demo")
        loaded = processes.batcher.status.loaded
        wait_until(lambda: processes.batcher.status.loaded == (), 30, "it leaves")
        models.load("demo")

        assert loaded == ("demo",)
        assert processes.batcher.status.loaded == ("demo",)
        assert processes.batcher.status.n_model_loads == 2


def test_a_job_tells_how_long_each_stage_took_however_it_ended(
    services: WorkerServices, submit: Callable[..., str], clips: Callable[[int, int], list[Clip]]
) -> None:
    [clip] = clips(1, 17)
    begun = time.monotonic()
    done = attempt(services, submit(clip.path.read_bytes(), model="demo"))
    took_s = time.monotonic() - begun
    broken = attempt(services, submit(b"no audio at all", model="demo"))

    assert list(done.stages_s) == ["decode", "speech", "transcribe", "convert"]
    assert done.stages_s["transcribe"] > 0
    assert sum(done.stages_s.values()) <= took_s + 0.01
    assert broken.status == "failed"
    assert list(broken.stages_s) == ["decode"]
