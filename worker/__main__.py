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
from collections.abc import Callable

from pydantic import ValidationError

from shared.connections import connect_patiently
from shared.errors import LonghandError
from shared.jobs import Jobs
from shared.logs import configure_logs
from shared.reaper import Reaper
from shared.settings import describe_problems
from shared.storage import open_storage
from shared.workers import WorkerRecord, Workers
from worker.gpu_lease import one_gpu
from worker.job import WorkerServices, run_job
from worker.leases import Leases
from worker.models.files import ModelFiles
from worker.models.pooled import PooledModels, SharedProcesses, engine_service
from worker.rq_worker import Puller
from worker.settings import WorkerSettings, quieten_libraries

_log = logging.getLogger(__name__)


class Worker:
    """
    One worker: its children, its threads, its record in Redis.

    Args:
        make_engine: Makes what runs in the engine process; tests give their own.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        make_engine: Callable[[WorkerSettings], object] = engine_service,
    ) -> None:
        self._settings = settings
        self.name = f"{settings.name}-{uuid.uuid4().hex[:6]}"
        self._redis = redis = connect_patiently(settings.redis_url.get_secret_value())
        storage = open_storage(settings.storage_dir)
        jobs = Jobs(redis, storage, lease_s=settings.lease_s, max_attempts=settings.max_attempts)
        self._workers = Workers(redis)
        self._files = ModelFiles(settings.models_dir, settings.engine, downloads=settings.downloads)
        self._started_at = time.time()
        self.processes = SharedProcesses(settings, make_engine)
        self._leases = Leases(jobs, self._publish)
        self._reaper = Reaper(redis, jobs)
        self.services = WorkerServices(
            settings, self.name, jobs, storage, self._leases, self.processes
        )
        self._puller = Puller(
            redis,
            functools.partial(run_job, self.services),
            n_slots=settings.slots,
            name=self.name,
        )

    def run(self, stopping: threading.Event) -> None:
        """Work until `stopping` is set, then finish the jobs in hand."""
        with one_gpu(self._settings, self._redis, self.name), self.processes.running():
            self._preload()
            self._publish()
            self._leases.start()
            self._reaper.start()
            self._puller.start()
            _log.info("worker %s takes jobs, %d at a time", self.name, self._settings.slots)
            stopping.wait()
            if self._leases.n_held:
                _log.info("stopping once %d jobs are done", self._leases.n_held)
            self._puller.stop()
            self._puller.join()
            self._reaper.stop()
            self._reaper.join()
            self._leases.stop()
            self._workers.retire(self.name)

    def close(self) -> None:
        """Let go of Redis, once `run` has returned."""
        self._redis.close()

    def _preload(self) -> None:
        model = self._settings.catalogue.resolve(None)
        if not self._settings.preload or model is None:
            return
        try:
            PooledModels(self.processes, lambda: None).load(model)
        except LonghandError as error:
            # Jobs for other models can still be done; jobs for this one say the same.
            _log.error("the default model is not to be had: %s", error)

    def _publish(self) -> None:
        status = self.processes.batcher.status
        record = WorkerRecord(
            name=self.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            engine=self._settings.engine,
            device=status.device if status else self._settings.device,
            compute_type=status.compute_type if status else self._settings.compute_type,
            models=tuple(self._files.local_names()),
            loaded=status.loaded if status else (),
            can_download=self._settings.downloads,
            slots=self._settings.slots,
            n_running=self._leases.n_held,
            engine_pid=self.processes.batcher.engine_pid,
            n_model_loads=status.n_model_loads if status else 0,
            n_engine_starts=self.processes.batcher.n_starts,
            started_at=self._started_at,
        )
        self._workers.publish(record)


def main() -> int:
    """Run one worker until SIGTERM or Ctrl-C; a second one ends it at once."""
    try:
        settings = WorkerSettings()
    except ValidationError as error:
        sys.stderr.write(describe_problems(error))
        return 2
    quieten_libraries()
    configure_logs(settings.log_level, settings.log_format)
    if settings.catalogue.resolve(None) is None:
        _log.error("LONGHAND_DEFAULT_MODEL: no model is known as %r", settings.default_model)
        return 2
    stopping = threading.Event()

    def stop(signum: int, _frame: object) -> None:
        if stopping.is_set():
            # Leases run out and other workers take the jobs.
            os._exit(128 + signum)
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    worker = Worker(settings)
    worker.run(stopping)
    worker.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
