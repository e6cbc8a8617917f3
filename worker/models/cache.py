"""Models in memory: loaded once, the least recently used leaves first."""

from __future__ import annotations

import gc
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.transcript import Segment
from worker.audio import AudioSource
from worker.engines import open_engine
from worker.engines.base import Chunk, DecodeOptions, Engine, Guess
from worker.models.files import ModelFiles
from worker.pipeline import ModelUsed, Speech
from worker.settings import WorkerSettings
from worker.speech import Span, cut_chunks, find_speech, speech_probabilities

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChunkTask:
    """One chunk to be decoded: where its samples lie, and how."""

    audio: AudioSource
    span: Span
    options: DecodeOptions


class ModelCache:
    """The models of one device. Not for several threads at once."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._files = ModelFiles(settings.models_dir, settings.engine, downloads=settings.downloads)
        self._device = settings.device if settings.device != "auto" else _best_device()
        self._loaded: OrderedDict[str, tuple[Engine, ModelUsed]] = OrderedDict()
        self.n_loads = 0

    @property
    def device(self) -> str:
        """`cpu`, `cuda` or `cuda:N`."""
        return self._device

    @property
    def compute_type(self) -> str:
        """The number format in use."""
        if self._settings.compute_type != "auto":
            return self._settings.compute_type
        if self._device != "cpu":
            return "float16"
        return "int8" if self._settings.engine == "faster_whisper" else "float32"

    def names(self) -> tuple[str, ...]:
        """Models in memory, the least recently used first."""
        return tuple(self._loaded)

    def load(self, name: str) -> ModelUsed:
        """Load a model unless it is in memory."""
        return self._lend(name)[1]

    def detect_language(self, name: str, audio: AudioSource, span: Span) -> Guess:
        """Guess the language of one chunk."""
        return self._lend(name)[0].detect_language(audio.read(*span))

    def transcribe(self, name: str, tasks: Sequence[ChunkTask]) -> list[list[Segment]]:
        """Decode chunks, of any audio, together; their segments from each chunk's start."""
        engine, _ = self._lend(name)
        return engine.transcribe([Chunk(t.audio.read(*t.span), t.options) for t in tasks])

    def _lend(self, name: str) -> tuple[Engine, ModelUsed]:
        if name not in self._loaded:
            path = self._files.locate(name)  # first: a model that is not to be had moves nobody out
            self._make_room()
            self._loaded[name] = self._open(name, path)
        self._loaded.move_to_end(name)
        return self._loaded[name]

    def _make_room(self) -> None:
        while len(self._loaded) >= self._settings.resident_models:
            leaving = next(iter(self._loaded))
            del self._loaded[leaving]
            gc.collect()  # an engine may refer to itself, and the next one needs its memory now
            _log.info("model %s left memory", leaving)

    def _open(self, name: str, path: Path) -> tuple[Engine, ModelUsed]:
        started = time.monotonic()
        engine = open_engine(
            self._settings.engine,
            path,
            device=self._device,
            compute_type=self.compute_type,
            threads=self._settings.engine_threads,
        )
        self.n_loads += 1
        _log.info(
            "model %s loaded on %s (%s) in %.1f s",
            name, self._device, self.compute_type, time.monotonic() - started,
        )  # fmt: skip
        used = ModelUsed(
            name, self._files.revision(name), self._settings.engine, engine.is_multilingual
        )
        return engine, used


def _best_device() -> str:
    import ctranslate2

    return "cuda" if ctranslate2.get_cuda_device_count() else "cpu"


def speech_of(audio: AudioSource, chunk_s: float, report: Callable[[float], None]) -> Speech:
    """Find speech and cut it into chunks of at most `chunk_s` seconds."""
    probabilities = speech_probabilities(audio, report)
    spans = find_speech(probabilities, audio.n_samples)
    chunks = cut_chunks(spans, probabilities, chunk_s)
    return Speech(tuple(chunks), sum(span.duration_s for span in spans))


class LocalModels:
    """`pipeline.Models` in this very process, one chunk at a time: for the CLI and for tests."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._cache = ModelCache(settings)

    def load(self, name: str) -> ModelUsed:
        """See `Models.load`."""
        return self._cache.load(name)

    def find_speech(
        self, audio: AudioSource, chunk_s: float, report: Callable[[float], None]
    ) -> Speech:
        """See `Models.find_speech`."""
        return speech_of(audio, chunk_s, report)

    def detect_language(self, model: str, audio: AudioSource, chunk: Span) -> Guess:
        """See `Models.detect_language`."""
        return self._cache.detect_language(model, audio, chunk)

    def transcribe(
        self, model: str, audio: AudioSource, chunks: Sequence[Span], options: DecodeOptions
    ) -> Iterator[tuple[int, list[Segment]]]:
        """See `Models.transcribe`."""
        for index, span in enumerate(chunks):
            yield index, self._cache.transcribe(model, [ChunkTask(audio, span, options)])[0]
