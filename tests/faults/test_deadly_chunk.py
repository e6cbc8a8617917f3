"""Audio that kills the engine, or does not fit beside it, costs its own job, and no other."""

from __future__ import annotations

import threading
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from deadly_engine import deadly_service, make_deadly
from full_engine import full_service
from redis import Redis
from spoken import Clip, draw_long_clip, transcribe_here, write_wav
from waiting import wait_until

from shared.jobs import Jobs
from shared.records import StoredAudio, new_job_id
from shared.request import TranscriptionRequest
from shared.storage import open_storage
from worker.__main__ import Worker
from worker.processes.local import LocalModels
from worker.settings import WorkerSettings

pytestmark = [pytest.mark.faults, pytest.mark.main_job]


@pytest.fixture
def worker(
    request: pytest.FixtureRequest, redis_url: str, storage_dir: Path, tmp_path: Path
) -> Iterator[Worker]:
    """A worker with the engine that the test names."""
    settings = WorkerSettings(
        redis_url=redis_url,
        storage_dir=storage_dir,
        scratch_dir=tmp_path / "scratch",
        default_model="demo",
        downloads=False,
        device="cpu",
    )
    worker = Worker(settings, request.param)
    stopping = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stopping,))
    thread.start()
    yield worker
    stopping.set()
    thread.join()
    worker.close()


@pytest.fixture
def jobs(redis_url: str, storage_dir: Path) -> Iterator[Jobs]:
    with Redis.from_url(redis_url) as redis:
        yield Jobs(redis, open_storage(storage_dir), lease_s=30, max_attempts=3)


def spoil(path: Path) -> None:
    """Put the sound that these engines cannot bear into a recording."""
    with wave.open(str(path)) as reader:
        samples = np.frombuffer(reader.readframes(reader.getnframes()), np.int16)
    write_wav(path, make_deadly(samples))


def submit(jobs: Jobs, storage_dir: Path, path: Path) -> str:
    job_id = new_job_id()
    data = path.read_bytes()
    with open_storage(storage_dir).create(f"jobs/{job_id}/audio") as out:
        out.write(data)
    audio = StoredAudio(
        key=f"jobs/{job_id}/audio", filename=path.name, n_bytes=len(data), sha256="", duration_s=1
    )
    jobs.submit(job_id, TranscriptionRequest(), audio)
    return job_id


@pytest.mark.parametrize("worker", [deadly_service], indirect=True)
def test_a_chunk_that_kills_the_engine_fails_only_its_own_job(
    worker: Worker,
    jobs: Jobs,
    storage_dir: Path,
    models: LocalModels,
    clips: Callable[[int, int], list[Clip]],
) -> None:
    drawn = clips(6, 9)
    spoil(drawn[2].path)

    ids = [submit(jobs, storage_dir, clip.path) for clip in drawn]
    wait_until(lambda: all(jobs.get(i).status.is_final for i in ids), 240, "all jobs end")

    deadly = jobs.get(ids[2])
    assert deadly.status == "failed"
    assert deadly.error is not None
    assert deadly.error["code"] == "engine_failed"
    assert "lost twice over the audio at" in deadly.error["message"]
    others = [(jobs.get(i), clip) for i, clip in zip(ids, drawn, strict=True) if i != ids[2]]
    assert [record.attempt for record, _ in others] == [1] * 5
    texts = [jobs.read_transcript(record).text for record, _ in others]
    assert texts == [transcribe_here(models, clip.path).text for _, clip in others]
    assert worker.processes.batcher.n_starts == 3


@pytest.mark.parametrize("worker", [full_service], indirect=True)
def test_a_batch_too_large_for_the_device_is_halved_and_a_chunk_too_large_fails_its_job(
    worker: Worker,
    jobs: Jobs,
    storage_dir: Path,
    models: LocalModels,
    clips: Callable[[int, int], list[Clip]],
    tmp_path: Path,
) -> None:
    long = [draw_long_clip(tmp_path, seed=10 + n, length_s=30) for n in range(3)]
    [spoilt, later] = clips(2, 10)
    spoil(spoilt.path)

    failing = submit(jobs, storage_dir, spoilt.path)
    ids = [submit(jobs, storage_dir, clip.path) for clip in long]
    wait_until(
        lambda: all(jobs.get(i).status.is_final for i in (failing, *ids)), 240, "all jobs end"
    )
    ids.append(submit(jobs, storage_dir, later.path))
    wait_until(lambda: jobs.get(ids[-1]).status.is_final, 240, "the next job ends")

    failed = jobs.get(failing)
    assert failed.error is not None
    assert (failed.status, failed.error["code"]) == ("failed", "gpu_oom")
    assert "LONGHAND_BATCH_SIZE" in failed.error["message"]
    for job_id, clip in zip(ids, (*long, later), strict=True):
        record = jobs.get(job_id)
        assert (record.status, record.attempt) == ("succeeded", 1)
        assert jobs.read_transcript(record).text == transcribe_here(models, clip.path).text
    assert worker.processes.batcher.counts.n_halved >= 1
    assert worker.processes.batcher.n_starts == 1
