"""`pipeline.Models` in this process, one chunk at a time: for benchmarks and tests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from worker.audio.source import AudioSource, Span
from worker.decoding.decode import QueuePosition
from worker.engines.base import DecodeOptions, Decoding, Guess
from worker.pipeline import ModelUsed
from worker.processes.annotators import AnnotationModels
from worker.processes.cache import ChunkTask, ModelCache
from worker.settings import WorkerSettings
from worker.speech.detection import Speech, SpeechOptions, detect_speech


class LocalModels(AnnotationModels):
    """All models that the pipeline needs, each loaded when it is first used."""

    def __init__(self, settings: WorkerSettings) -> None:
        super().__init__(settings)
        self._cache = ModelCache(settings)

    def load(self, name: str) -> ModelUsed:
        """See `Models.load`."""
        return self._cache.load(name)

    def find_speech(
        self, audio: AudioSource, options: SpeechOptions, report: Callable[[float], None]
    ) -> Speech:
        """See `Models.find_speech`."""
        return detect_speech(audio, options, report)

    def detect_language(self, model: str, audio: AudioSource, chunk: Span) -> Guess:
        """See `Models.detect_language`."""
        return self._cache.detect_language(model, audio, chunk)

    def open_queue(self, model: str, audio: AudioSource) -> LocalQueue:
        """See `Models.open_queue`."""
        return LocalQueue(self._cache, model, audio)


class LocalQueue:
    """A `ChunkQueue` that decodes a chunk when its text is asked for."""

    def __init__(self, cache: ModelCache, model: str, audio: AudioSource) -> None:
        self._cache = cache
        self._model = model
        self._audio = audio
        self._waiting: deque[tuple[int, ChunkTask]] = deque()

    def add(
        self, index: int, span: Span, options: DecodeOptions, position: QueuePosition = "last"
    ) -> None:
        """See `ChunkQueue.add`."""
        put = self._waiting.append if position == "last" else self._waiting.appendleft
        put((index, ChunkTask(self._audio, span, options)))

    def next(self) -> tuple[int, Decoding]:
        """See `ChunkQueue.next`."""
        index, task = self._waiting.popleft()
        return index, self._cache.transcribe(self._model, [task])[0]

    def close(self) -> None:
        """See `ChunkQueue.close`."""
        self._waiting.clear()
