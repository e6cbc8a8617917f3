"""The object that each kind of child process serves."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

from shared.logs import configure_logs
from worker.audio.source import AudioSource, Span, decode, decode_channels
from worker.engines.base import Decoding, Guess
from worker.pipeline import ModelUsed
from worker.processes.annotators import AnnotationModels
from worker.processes.cache import ChunkTask, ModelCache
from worker.processes.gpu_memory import GpuMemory, gpu_memory
from worker.settings import (
    WorkerSettings,
    give_memory_back,
    limit_primitives,
    limit_threads,
    quieten_libraries,
)
from worker.speech.detection import detect_speech

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineStatus:
    """
    What the engine process says about itself after each call.

    Attributes:
        revisions: Those of the weights in memory, by model.
    """

    device: str
    compute_type: str
    loaded: tuple[str, ...]
    n_model_loads: int
    revisions: Mapping[str, str]
    gpu_memory: GpuMemory | None


class EngineService:
    """
    What the engine process serves. Each method returns answers, and the process's status.

    Attributes:
        live: What it does for live sessions, in a thread of its own.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        from worker.live.service import LiveService  # loads libraries of models

        self._cache = ModelCache(settings)
        self.live = LiveService(self._cache)

    def load(self, name: str, generation: int) -> tuple[list[ModelUsed], EngineStatus]:
        """Load a model."""
        return [self._cache.load(name, generation)], self._status()

    def detect_language(
        self, name: str, item: tuple[AudioSource, Span]
    ) -> tuple[list[Guess], EngineStatus]:
        """Guess the language of one chunk."""
        return [self._cache.detect_language(name, *item)], self._status()

    def transcribe(self, name: str, tasks: list[ChunkTask]) -> tuple[list[Decoding], EngineStatus]:
        """Decode a batch."""
        decoded = self._cache.transcribe(name, tasks)
        _log.debug("%d chunks decoded", len(tasks))
        return decoded, self._status()

    def unload_idle(self, _item: None) -> tuple[list[int], EngineStatus]:
        """Unload models that were idle for too long."""
        return [self._cache.unload_idle()], self._status()

    def _status(self) -> EngineStatus:
        cache = self._cache
        return EngineStatus(
            cache.device,
            cache.compute_type,
            cache.names(),
            cache.n_loads,
            cache.revisions(),
            gpu_memory(cache.device),
        )


def engine_service(settings: WorkerSettings) -> EngineService:
    """Set this process up for an engine, and open it."""
    _set_up(settings, settings.n_threads)
    return EngineService(settings)


def audio_service(settings: WorkerSettings) -> SimpleNamespace:
    """Set this process up to decode audio and to find speech; returns the functions for it."""
    give_memory_back()
    _set_up(settings, 1)
    return SimpleNamespace(
        decode=decode, decode_channels=decode_channels, find_speech=detect_speech
    )


def annotation_service(settings: WorkerSettings) -> AnnotationModels:
    """Set this process up for alignment and diarization."""
    limit_primitives()
    give_memory_back()
    _set_up(settings, settings.n_threads)
    return AnnotationModels(settings)


def _set_up(settings: WorkerSettings, n_threads: int) -> None:
    configure_logs(settings.log_level, settings.log_format, settings.log_file)
    quieten_libraries()
    limit_threads(n_threads)
