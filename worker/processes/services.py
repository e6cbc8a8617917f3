"""What runs in the children of a worker, a class for each kind of child."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.logs import configure_logs
from shared.transcript import Segment
from worker.alignment import AlignOptions
from worker.audio.source import AudioSource, Span, decode, decode_channels
from worker.diarization import Diarization, DiarizationOptions
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
from worker.speech.search import Speech, SpeechOptions, look_for_speech

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineStatus:
    """
    What the engine process says of itself after each call.

    Attributes:
        revisions: Of the weights in memory, by model.
    """

    device: str
    compute_type: str
    loaded: tuple[str, ...]
    n_model_loads: int
    revisions: Mapping[str, str]
    gpu_memory: GpuMemory | None


class EngineService:
    """What runs in the engine process: every answer comes with the process's status."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._cache = ModelCache(settings)

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
        """Let go of models that nobody used for a while."""
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


class AudioService:
    """What runs in the CPU pool."""

    def decode(
        self, path: Path, scratch: Path, track: int | None, report: Callable[[float], None]
    ) -> AudioSource:
        """Decode a file to scratch."""
        return decode(path, scratch, report, track=track)

    def decode_channels(
        self, path: Path, scratch: Path, track: int | None, report: Callable[[float], None]
    ) -> tuple[AudioSource, ...]:
        """Decode each channel of a file."""
        return decode_channels(path, scratch, report, track=track)

    def find_speech(
        self, audio: AudioSource, options: SpeechOptions, report: Callable[[float], None]
    ) -> Speech:
        """Find speech and cut it into chunks."""
        return look_for_speech(audio, options, report)


class AnnotationService:
    """What runs in the second child: alignment and diarization."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._models = AnnotationModels(settings)

    def load_aligner(self, name: str, report: Callable[[float], None]) -> None:
        """Load an alignment model, which may have to be downloaded first."""
        self._models.load_aligner(name)

    def load_diarizer(self, name: str, report: Callable[[float], None]) -> None:
        """Load a diarization pipeline, which may have to be downloaded first."""
        self._models.load_diarizer(name)

    def align(
        self,
        aligner: str,
        audio: AudioSource,
        segments: Sequence[Segment],
        options: AlignOptions,
        report: Callable[[float], None],
    ) -> list[Segment]:
        """Give words their times."""
        return self._models.align(aligner, audio, segments, options, report)

    def find_turns(
        self,
        diarizer: str,
        audio: AudioSource,
        options: DiarizationOptions,
        report: Callable[[float], None],
    ) -> Diarization:
        """Find out who speaks when."""
        return self._models.find_turns(diarizer, audio, options, report)


def engine_service(settings: WorkerSettings) -> EngineService:
    """Set this process up for an engine."""
    _set_up(settings, settings.n_threads)
    return EngineService(settings)


def audio_service(settings: WorkerSettings) -> AudioService:
    """Set this process up for decoding and speech."""
    give_memory_back()
    _set_up(settings, 1)
    return AudioService()


def annotation_service(settings: WorkerSettings) -> AnnotationService:
    """Set this process up for alignment and diarization."""
    limit_primitives()
    give_memory_back()
    _set_up(settings, settings.n_threads)
    return AnnotationService(settings)


def _set_up(settings: WorkerSettings, n_threads: int) -> None:
    configure_logs(settings.log_level, settings.log_format, settings.log_file)
    quieten_libraries()
    limit_threads(n_threads)
