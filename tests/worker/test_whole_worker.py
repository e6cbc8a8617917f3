"""A whole worker: what it tells of itself, and how it stops, gives up and clears away."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attempts import error_of
from child_services import unmakeable
from redis import Redis
from spoken import Clip
from waiting import wait_until

from cli.redis_server import free_port
from shared.errors import EngineFailed
from shared.jobs import Jobs
from shared.workers import Workers
from worker.__main__ import Worker
from worker.jobs.scratch import own_folder
from worker.models.adding import add_model
from worker.models.store import ModelStore
from worker.settings import WorkerSettings


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


def test_a_worker_without_its_default_model_takes_jobs_and_says_what_to_do(
    start_worker: Callable[..., Worker], jobs: Jobs, redis: Redis, submit: Callable[..., str],
    clips: Callable[[int, int], list[Clip]], tmp_path: Path,
) -> None:  # fmt: skip
    worker = start_worker(default_model="medium", name="box", slots=3, models_dir=tmp_path)
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


def test_an_own_model_transcribes_by_its_name_and_may_be_the_default(
    start_worker: Callable[..., Worker], jobs: Jobs, redis: Redis, submit: Callable[..., str],
    clips: Callable[[int, int], list[Clip]], tmp_path: Path, demo_model: Path,
) -> None:  # fmt: skip
    add_model(ModelStore(tmp_path / "models"), "house", demo_model)
    start_worker(default_model="house", models_dir=tmp_path / "models")
    [clip] = clips(1, 13)
    unnamed, named = (
        submit(clip.path.read_bytes(), **fields) for fields in ({}, {"model": "house"})
    )
    wait_until(lambda: all(jobs.get(i).status.is_final for i in (unnamed, named)), 90, "both end")
    [record] = Workers(redis).live()

    assert [jobs.get(i).status for i in (unnamed, named)] == ["succeeded", "succeeded"]
    assert jobs.read_transcript(jobs.get(named)).model == "house"
    assert record.models == ("demo", "house")
    assert [(own.name, own.is_multilingual) for own in record.own_models] == [("house", True)]
