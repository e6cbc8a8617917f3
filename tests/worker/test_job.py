"""One attempt at a job, from claim to end; and a whole worker, when something is missing."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from child_services import Echo, unmakeable
from redis import Redis
from spoken import Clip, transcribe_here
from waiting import wait_until

from cli.redis_server import free_port
from shared.errors import EngineFailed, StorageFull
from shared.generations import Generations
from shared.jobs import Jobs
from shared.records import JobRecord, StoredAudio, new_job_id
from shared.request import TranscriptionRequest
from shared.storage import Storage, open_storage
from shared.workers import Workers
from worker.__main__ import Worker
from worker.job import WorkerServices, run_job
from worker.leases import Leases
from worker.models.local import LocalModels
from worker.models.pooled import PooledModels, SharedProcesses
from worker.scratch import own_folder
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


@pytest.fixture
def settings(redis_url: str, storage_dir: Path, tmp_path: Path) -> WorkerSettings:
    return WorkerSettings(
        redis_url=redis_url,
        storage_dir=storage_dir,
        scratch_dir=tmp_path / "scratch",
        default_model="demo",
        downloads=False,
        device="cpu",
    )


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as redis:
        yield redis


@pytest.fixture
def jobs(redis: Redis, storage_dir: Path) -> Jobs:
    return Jobs(redis, open_storage(storage_dir), lease_s=30, max_attempts=3)


@pytest.fixture
def submit(jobs: Jobs, storage_dir: Path) -> Callable[..., str]:
    """Submit a file's bytes; its job id."""

    def submit(data: bytes, **fields: str) -> str:
        job_id = new_job_id()
        key = f"jobs/{job_id}/audio"
        with open_storage(storage_dir).create(key) as out:
            out.write(data)
        audio = StoredAudio(key=key, filename="a", n_bytes=len(data), sha256="", duration_s=1)
        jobs.submit(job_id, TranscriptionRequest(**fields), audio)
        return job_id

    return submit


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
    leases = Leases(jobs, lambda: None)
    generations = Generations(jobs._redis)
    return WorkerServices(
        settings, "worker-a", jobs, storage, generations, leases, processes, scratch
    )


def attempt(services: WorkerServices, job_id: str) -> JobRecord:
    """Run the first attempt; the job as it then is. Nothing stays in scratch."""
    run_job(services, job_id, 1)
    assert list(services.scratch.iterdir()) == []
    assert services.leases.n_held == 0
    return services.jobs.get(job_id)


def error_of(record: JobRecord) -> tuple[str, str]:
    assert record.status == "failed", record
    assert record.error is not None
    return record.error["code"], record.error["message"]


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
    leases = Leases(full, lambda: None)
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
        found = PooledModels(processes, lambda: None)._in_child(
            processes.audio, "die_once", str(tmp_path / "mark"), report=print
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


@pytest.fixture
def start_worker(settings: WorkerSettings) -> Iterator[Callable[..., Worker]]:
    """Start whole workers in threads; each is told to stop with the test."""
    started: list[tuple[Worker, threading.Thread, threading.Event]] = []

    def start(**changes: Any) -> Worker:
        worker = Worker(WorkerSettings(**settings.model_dump() | changes))
        stopping = threading.Event()
        thread = threading.Thread(target=worker.run, args=(stopping,))
        started.append((worker, thread, stopping))
        thread.start()
        return worker

    yield start
    for _, _, stopping in started:
        stopping.set()
    for worker, thread, _ in started:
        thread.join(60)
        assert not thread.is_alive()
        worker.close()


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


def test_a_worker_without_its_default_model_takes_jobs_and_says_what_to_do(
    start_worker: Callable[..., Worker], jobs: Jobs, redis: Redis, submit: Callable[..., str],
    clips: Callable[[int, int], list[Clip]],
) -> None:  # fmt: skip
    worker = start_worker(default_model="medium", name="box", slots=3)
    [clip] = clips(1, 13)
    data = clip.path.read_bytes()
    absent, present = submit(data), submit(data, model="demo")
    wait_until(lambda: all(jobs.get(i).status.is_final for i in (absent, present)), 90, "both end")
    wait_until(lambda: "demo" in Workers(redis).live()[0].loaded, 20, "the worker tells")
    [record] = Workers(redis).live()

    code, message = error_of(jobs.get(absent))
    assert code == "model_not_found"
    assert "'medium' is not on this worker" in message
    assert "put its files into 'medium' below LONGHAND_MODELS_DIR" in message
    assert jobs.get(present).status == "succeeded"
    assert (record.name, record.slots, record.models) == (worker.name, 3, ("demo",))
    assert record.name.startswith("box-")
    assert (record.engine, record.device, record.compute_type) == ("faster_whisper", "cpu", "int8")
    assert (record.loaded, record.n_model_loads, record.n_engine_starts) == (("demo",), 1, 1)
    assert record.revisions == {"demo": jobs.read_transcript(jobs.get(present)).model_revision}
    assert record.engine_options == {"threads": 1, "resident_models": 2, "model_ttl_s": 0}
    assert (record.batch_size, record.gpu_memory_used_bytes) == (4, None)
    assert record.pid == os.getpid()
    assert record.engine_pid == worker.processes.batcher.engine_pid
    assert not record.can_download


def test_a_worker_that_stops_is_live_no_more_and_leaves_no_folder(
    settings: WorkerSettings, redis: Redis
) -> None:
    worker, stopping = Worker(settings), threading.Event()
    thread = threading.Thread(target=worker.run, args=(stopping,))
    thread.start()
    wait_until(lambda: Workers(redis).live(), 60, "it is live")
    folders = list(settings.scratch_dir.glob("longhand-worker-*/"))
    stopping.set()
    thread.join(30)
    worker.close()

    assert not thread.is_alive()
    assert len(folders) == 1
    assert list(settings.scratch_dir.glob("longhand-worker-*/")) == []
    assert Workers(redis).live() == []


def test_a_worker_stops_soon_while_redis_is_away(settings: WorkerSettings) -> None:
    away = settings.model_dump() | {"redis_url": f"redis://127.0.0.1:{free_port()}/0"}
    worker, stopping = Worker(WorkerSettings(**away | {"preload": False})), threading.Event()
    thread = threading.Thread(target=worker.run, args=(stopping,))
    thread.start()
    wait_until(lambda: worker.processes.batcher.engine_pid, 60, "its engine starts")
    stopping.set()
    thread.join(30)
    worker.close()

    assert not thread.is_alive()


def test_a_worker_whose_engine_cannot_start_gives_up(settings: WorkerSettings) -> None:
    worker = Worker(settings, unmakeable)

    with pytest.raises(EngineFailed, match="cannot be started"):
        worker.run(threading.Event())
    worker.close()


def test_what_a_killed_worker_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    dead = tmp_path / "longhand-worker-dead"
    for folder in (dead, tmp_path / "somebody-elses"):
        folder.mkdir()
        (folder / "lock").touch()
        (folder / "audio.pcm").write_bytes(b"x")

    with own_folder(tmp_path) as first, own_folder(tmp_path) as second:
        assert first.is_dir() and second.is_dir()
        assert not dead.exists()
    assert (tmp_path / "somebody-elses" / "audio.pcm").exists()
    assert not first.exists()
    with (tmp_path / "longhand-worker-lock").open() as gate:
        fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
