"""The worker program: `python -m worker`."""

from __future__ import annotations

import functools
import logging
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from redis.exceptions import RedisError

from shared.connections import connect_briefly, connect_patiently
from shared.errors import EngineFailed, LonghandError
from shared.generations import Generations
from shared.jobs import Jobs
from shared.logs import configure_logs
from shared.reaper import Reaper
from shared.settings import describe_older, describe_problems
from shared.starting import CannotStart, answer_arguments, naming
from shared.storage import open_storage
from shared.workers import WorkerRecord, Workers
from worker.diarization.usable import usable_diarizers
from worker.job import WorkerServices, run_job
from worker.jobs.leases import RENEW_S, Leases
from worker.jobs.rq_worker import Puller
from worker.jobs.scratch import own_folder
from worker.models.whisper_models import WhisperModels
from worker.processes.gpu_lease import one_gpu
from worker.processes.pooled import PooledModels, SharedProcesses
from worker.processes.services import EngineStatus, engine_service
from worker.sessions.claims import Claims
from worker.sessions.host import Patience, SessionHost
from worker.settings import WorkerSettings, quieten_libraries

_WATCH_S = 0.2
_REAPER_END_S = 5.0

_log = logging.getLogger(__name__)


class _Stopped(Exception):
    """The worker has to stop."""


class Worker:
    """
    One worker: its child processes, its threads and its record in Redis.

    Args:
        make_engine: Makes the object that the engine process serves; tests give their own.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        make_engine: Callable[[WorkerSettings], object] = engine_service,
    ) -> None:
        self._settings = settings
        self.name = f"{settings.name}-{uuid.uuid4().hex[:6]}"
        url = settings.redis_url.get_secret_value()
        self._redis = redis = connect_patiently(url)
        # For calls that may fail and are tried again, so that stopping does not wait for Redis.
        self._brief = brief = connect_briefly(url)
        self._live_redis = connect_briefly(url)
        self._live: SessionHost | None = None
        with naming("LONGHAND_STORAGE_DIR", settings.storage_dir):
            storage = open_storage(settings.storage_dir)
        jobs, brief_jobs = (
            Jobs(client, storage, lease_s=settings.lease_s, max_attempts=settings.max_attempts)
            for client in (redis, brief)
        )
        self._workers = Workers(brief)
        self._on_disk = WhisperModels.of(settings)
        self._started_at = time.time()
        self.processes = SharedProcesses(settings, make_engine)
        self._leases = Leases(jobs.runs, self._publish, renew_s=min(RENEW_S, settings.lease_s / 4))
        self._reaper = Reaper(brief, brief_jobs)
        self._jobs, self._storage = jobs, storage

    def run(self, stopping: threading.Event) -> None:
        """
        Work until `stopping` is set, then finish the running jobs.

        Raises:
            EngineFailed: The engine process cannot be started, or not again. The running jobs are
                left: their leases run out and other workers take them.
        """

        def check() -> None:
            self.processes.batcher.check()
            if stopping.is_set():
                raise _Stopped

        with (
            suppress(_Stopped),
            one_gpu(self._settings, self._brief, self.name, check),
            own_folder(self._settings.scratch_dir) as scratch,
            self.processes.running(check),
        ):
            self._preload(check)
            self._take_jobs(scratch, check)

    def _take_jobs(self, scratch: Path, check: Callable[[], None]) -> None:
        services = WorkerServices(
            self._settings, self.name, self._jobs, self._storage, Generations(self._redis),
            self._leases, self.processes, scratch,
        )  # fmt: skip
        puller = Puller(
            self._redis,
            functools.partial(run_job, services),
            pulling=self._brief,
            n_slots=self._settings.slots,
            name=self.name,
        )
        self._live = self._host_sessions(check)
        for thread in (self._leases, self._reaper, puller, self._live):
            thread.start()
        _log.info("worker %s takes jobs, %d at a time", self.name, self._settings.slots)
        try:
            while True:
                time.sleep(_WATCH_S)
                check()
        except _Stopped:
            self._live.stop()
            if self._leases.n_held:
                _log.info("stopping once %d jobs are done", self._leases.n_held)
            puller.stop()
            while not puller.join(_WATCH_S):
                self.processes.batcher.check()
        finally:
            puller.stop()
            self._live.stop()
            self._reaper.stop()
            self._leases.stop()
            with suppress(RedisError):
                self._workers.retire(self.name)
            self._reaper.join(_REAPER_END_S)

    def _host_sessions(self, check: Callable[[], None]) -> SessionHost:
        """The thread that serves live sessions."""
        settings, batcher = self._settings, self.processes.batcher
        models = PooledModels(self.processes, check)
        return SessionHost(
            Claims(self._live_redis, self.name),
            batcher,
            capacity=settings.live_capacity(self._device),
            models=lambda: () if settings.downloads else (*self._on_disk.local_revisions(), ""),
            load=models.load,
            patience=Patience(settings.stall_s),
        )

    @property
    def _device(self) -> str:
        status: EngineStatus | None = self.processes.batcher.status
        return status.device if status else self._settings.device

    def close(self) -> None:
        """Close the connections to Redis, after `run` has returned."""
        self._redis.close()
        self._brief.close()
        self._live_redis.close()

    def _preload(self, check: Callable[[], None]) -> None:
        generation = 0
        with suppress(RedisError):  # then the first job loads them again
            generation = Generations(self._brief).current()
        models = PooledModels(self.processes, check, generation=generation)
        for model in self._settings.preloaded_models:
            try:
                models.load(model)
            except LonghandError as error:
                self.processes.batcher.check()
                # Jobs for other models can still be done; jobs for this one fail with this error.
                _log.error("the model %s cannot be loaded: %s", model, error)

    def _publish(self) -> None:
        settings, batcher = self._settings, self.processes.batcher
        status: EngineStatus | None = batcher.status
        memory = status.gpu_memory if status else None
        on_disk = self._on_disk.local_revisions()
        record = WorkerRecord(
            name=self.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            engine=settings.engine,
            device=self._device,
            compute_type=status.compute_type if status else settings.compute_type,
            models=tuple(on_disk),
            own_models=tuple(self._on_disk.own()),
            loaded=status.loaded if status else (),
            revisions=on_disk | dict(status.revisions if status else {}),
            engine_options={
                "threads": settings.n_threads,
                "resident_models": settings.resident_models,
                "model_ttl_s": settings.model_ttl_s,
            },
            batch_size=settings.batch_size,
            gpu_memory_used_bytes=memory.used_bytes if memory else None,
            gpu_memory_total_bytes=memory.total_bytes if memory else None,
            **self._diarizers(),
            can_download=settings.downloads,
            failed=self.processes.failed_loads.standing(on_disk),
            slots=settings.slots,
            n_running=self._leases.n_held,
            engine_pid=batcher.engine_pid,
            n_model_loads=status.n_model_loads if status else 0,
            n_engine_starts=batcher.n_starts,
            n_batches=batcher.counts.n_batches,
            n_mixed_batches=batcher.counts.n_mixed,
            n_chunks=batcher.counts.n_chunks,
            annotation_pids=self.processes.annotation.pids(),
            **self._live_sessions(),
            started_at=self._started_at,
        )
        self._workers.publish(record)

    def _live_sessions(self) -> dict[str, Any]:
        """The fields of the record about live sessions."""
        live = self._live
        if live is None:
            return {}
        counts = live.counts
        totals = {
            "sessions": counts.n_sessions,
            "calls": counts.n_calls,
            "steps": counts.n_steps,
            "audio_s": counts.audio_s,
        }
        return {
            "live_sessions": live.capacity,
            "n_live": live.n_held,
            "live_lag_s": counts.take_lag_s(),
            "live_totals": totals,
        }

    def _diarizers(self) -> dict[str, Any]:
        """The fields of the record about diarization models."""
        site_default = self._settings.diarizer
        usable = usable_diarizers(self._on_disk.store, site_default)
        return {
            "diarization_model": site_default,
            "diarizers": usable.names,
            "diarizer_problems": dict(usable.problems),
        }


def main(arguments: Sequence[str] = ()) -> int:
    """Run one worker until SIGTERM or Ctrl-C; a second signal ends it immediately."""
    if (status := answer_arguments("python -m worker", arguments)) is not None:
        return status
    try:
        settings = WorkerSettings()
    except ValidationError as error:
        for problem in describe_problems(error, WorkerSettings):
            sys.stderr.write(f"worker: {problem}\n")
        return 2
    quieten_libraries()
    configure_logs(settings.log_level, settings.log_format, settings.log_file)
    for warning in describe_older(WorkerSettings):
        _log.warning(warning)
    stopping = threading.Event()

    def stop(signum: int, _frame: object) -> None:
        if stopping.is_set():
            # The leases run out and other workers take the jobs.
            os._exit(128 + signum)
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        worker = Worker(settings)
        worker.run(stopping)
    except CannotStart as error:
        _log.error("the worker cannot start: %s", error)
        return 1
    except EngineFailed as error:
        _log.error("the worker gives up: %s", error)
        return 1
    worker.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
