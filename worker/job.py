"""One job in a worker: claim, fetch, decode, transcribe, store."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

from redis.exceptions import RedisError

from shared.errors import (
    AudioUnreadable,
    EngineFailed,
    JobCancelled,
    LonghandError,
    ModelNotFound,
)
from shared.jobs import JobRecord, Jobs
from shared.logs import job_logged
from shared.storage import KeyNotFound, Storage
from shared.transcript import Transcript
from worker import pipeline
from worker.children import ChildDied
from worker.leases import Lease, Leases
from worker.models.pooled import PooledModels, SharedProcesses
from worker.settings import WorkerSettings

_log = logging.getLogger(__name__)

_DECODED = 0.03
"""Share of a job's progress that decoding is."""


@dataclass(frozen=True)
class WorkerServices:
    """What every job of a worker shares; `scratch` is a folder of the worker's own."""

    settings: WorkerSettings
    name: str
    jobs: Jobs
    storage: Storage
    leases: Leases
    processes: SharedProcesses
    scratch: Path


def run_job(services: WorkerServices, job_id: str, attempt: int) -> None:
    """
    Make one attempt at a job and record how it ended; raises nothing a job could cause.

    A slip that comes late, twice, or for a job taken by another does nothing.
    """
    record = services.jobs.claim(job_id, attempt, services.name)
    if record is None:
        return
    with job_logged(job_id), services.leases.hold(job_id, attempt) as lease:
        _log.info("attempt %d: %.1f s of audio", attempt, record.audio.duration_s)
        try:
            transcript = _transcribe(services, record, lease)
            is_published = services.jobs.finish(job_id, attempt, transcript)
            _log.info("succeeded" if is_published else "done, but no longer wanted")
        except JobCancelled as reason:
            _log.info("stopped: %s", reason)
        except RedisError as error:
            _log.error("Redis is away for too long, the job is left to another worker: %s", error)
        except LonghandError as error:
            _log.warning("failed: %s: %s", error.code, error)
            services.jobs.fail(job_id, attempt, error.to_value())
        except Exception as error:
            _log.exception("failed")
            failure = EngineFailed(f"{type(error).__name__}: {error}")
            services.jobs.fail(job_id, attempt, failure.to_value())


def _transcribe(services: WorkerServices, record: JobRecord, lease: Lease) -> Transcript:
    model = services.settings.catalogue.resolve(record.request.model)
    if model is None:
        raise ModelNotFound(f"no model is known as {record.request.model!r}", param="model")
    models = PooledModels(services.processes, lease.check)
    with tempfile.TemporaryDirectory(prefix=f"{record.id}-", dir=services.scratch) as folder:
        lease.report("decode", 0.0)
        try:
            with services.storage.open_local(record.audio.key) as path:
                audio = models.decode(
                    path,
                    Path(folder) / "audio.pcm",
                    lambda fraction: lease.report("decode", _DECODED * fraction),
                )
        except KeyNotFound as error:
            raise AudioUnreadable("the audio of this job is no longer in storage") from error
        except ChildDied as error:
            raise AudioUnreadable(f"the audio could not be decoded ({error})") from error
        except TimeoutError as error:
            raise AudioUnreadable(f"decoding stopped making progress ({error})") from error

        def report(stage: str, fraction: float, done_s: float) -> None:
            lease.report(stage, _DECODED + (1 - _DECODED) * fraction, done_s)

        return pipeline.transcribe(audio, record.request, models, report, model=model)
