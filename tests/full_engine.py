"""An engine on a device that is too small: the real engine otherwise."""

from __future__ import annotations

from deadly_engine import is_loud

from worker.engines.memory import memory_watched
from worker.processes.cache import ChunkTask
from worker.processes.services import EngineService, engine_service
from worker.settings import WorkerSettings

ROOM = 1
"""Chunks that fit; of the sound `make_deadly` makes not even one does."""


class FullService(EngineService):
    """Runs out of memory as CTranslate2 does on a GPU."""

    def transcribe(self, name: str, tasks: list[ChunkTask]):  # type: ignore[no-untyped-def]
        """See `EngineService.transcribe`."""
        with memory_watched(name, "cuda"):
            if len(tasks) > ROOM or any(map(is_loud, tasks)):
                raise RuntimeError("CUDA failed with error out of memory")
        return super().transcribe(name, tasks)


def full_service(settings: WorkerSettings) -> EngineService:
    """As `engine_service`, but on a small device."""
    engine_service(settings)
    return FullService(settings)
