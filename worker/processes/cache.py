"""Whisper models in memory: loaded when first used; the least recently used are unloaded."""

from __future__ import annotations

import gc
import logging
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from shared.catalogue import MODELS
from shared.errors import EngineFailed, GpuOutOfMemory, LonghandError
from shared.sizes import in_words
from worker.audio.source import AudioSource, Span
from worker.engines import ENGINES, check_installed, open_engine
from worker.engines.base import Chunk, DecodeOptions, Decoding, Engine, Guess
from worker.models.whisper_models import WhisperModels
from worker.pipeline import ModelUsed
from worker.processes.devices import best_device, choose_compute_type
from worker.settings import WorkerSettings

if TYPE_CHECKING:
    from worker.engines.live_decoder import LiveDecoder

_log = logging.getLogger(__name__)


class LiveEngine(Protocol):
    """An engine that can decode live sessions: see `EngineEntry.has_live`."""

    def live_decoder(self) -> LiveDecoder:
        """A decoder with the model of this engine."""
        ...


@dataclass(frozen=True)
class ChunkTask:
    """One chunk to be decoded: its samples, and the options."""

    audio: AudioSource
    span: Span
    options: DecodeOptions


@dataclass(eq=False)
class _Resident:
    """
    A model in memory.

    Attributes:
        generation: The newest one known when its files were last read.
        n_bytes: Size of its weights on disk.
        last_used: When its last call ended, by the cache's clock.
    """

    engine: Engine
    used: ModelUsed
    generation: int
    n_bytes: int
    last_used: float


class ModelCache:
    """
    The models of one device.

    One thread loads models and decodes chunks. Another may ask for live decoders: it waits for
    nothing if the model is in memory.

    Args:
        clock: Gives seconds, to count how long a model was idle.

    Raises:
        EngineFailed: The engine's library or the device is missing, or the device does not have the
            number format of the settings.
    """

    def __init__(
        self, settings: WorkerSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._on_disk = WhisperModels.of(settings)
        self._residents: OrderedDict[str, _Resident] = OrderedDict()
        self._generation = 0
        check_installed(settings.engine)
        self.device = best_device(settings.device)
        self.compute_type = choose_compute_type(settings.engine, settings.compute_type, self.device)
        self.n_loads = 0
        self._loading = threading.RLock()

    def names(self) -> tuple[str, ...]:
        """Models in memory, the least recently used first."""
        return tuple(self._residents.copy())

    def revisions(self) -> dict[str, str]:
        """The revision of the weights in memory, by model."""
        return {name: resident.used.revision for name, resident in self._residents.copy().items()}

    def live_decoder(self, name: str) -> LiveDecoder:
        """
        A decoder for live sessions, with the same model that decodes chunks.

        Raises:
            ModelNotFound: The model cannot be had.
            EngineFailed: It cannot be loaded, or its engine has no live sessions.
        """
        if not ENGINES[self._settings.engine].has_live:
            raise EngineFailed(f"the engine {self._settings.engine} has no live sessions")
        resident = self._residents.get(name)
        if resident is None:
            with self._lent(name) as resident:
                pass
        resident.last_used = self._clock()
        return cast("LiveEngine", resident.engine).live_decoder()

    def load(self, name: str, generation: int = 0) -> ModelUsed:
        """
        Load a model unless it is in memory; load it again if that one is of an older generation.

        The old one stays in memory until the new one is loaded, if there is room for both. If the
        new one cannot be loaded, the old one is used until the next generation, and the log says
        why.
        """
        with self._loading:
            self._generation = max(self._generation, generation)
            # Here too, since the batcher calls it only when there is no work.
            self.unload_idle(but=name)
            if name in self._residents and self._residents[name].generation < generation:
                self._renew(name)
        with self._lent(name) as resident:
            return resident.used

    def detect_language(self, name: str, audio: AudioSource, span: Span) -> Guess:
        """Guess the language of one chunk."""
        with self._lent(name) as resident:
            return resident.engine.detect_language(audio.read(*span))

    def transcribe(self, name: str, tasks: Sequence[ChunkTask]) -> list[Decoding]:
        """Decode chunks together; they may be of different audio."""
        chunks = [Chunk(task.audio.read(*task.span), task.options) for task in tasks]
        with self._lent(name) as resident:
            return resident.engine.transcribe(chunks)

    def unload_idle(self, *, but: str = "") -> int:
        """
        Unload the models that were idle for longer than the settings allow.

        Args:
            but: A model that is about to be used, and stays.

        Returns:
            How many were unloaded.
        """
        ttl_s = self._settings.model_ttl_s
        if not ttl_s:
            return 0
        oldest = self._clock() - ttl_s
        with self._loading:
            idle = [
                n for n, m in self._residents.copy().items() if m.last_used <= oldest and n != but
            ]
            for name in idle:
                self._unload(name, f"after {ttl_s:g} s without use")
        return len(idle)

    @contextmanager
    def _lent(self, name: str) -> Iterator[_Resident]:
        resident = self._residents.get(name)
        if resident is None:
            with self._loading:
                resident = self._residents.get(name) or self._open(name)
                self._residents[name] = resident
        with suppress(KeyError):  # another thread may have unloaded it just now
            self._residents.move_to_end(name)
        try:
            yield resident
        finally:
            resident.last_used = self._clock()

    def _renew(self, name: str) -> None:
        try:
            renewed = self._open(name)
        except GpuOutOfMemory:  # no room for both: the old one has to leave first
            self._unload(name, "for its reload")
            return
        except LonghandError as error:
            self._residents[name].generation = self._generation
            _log.error("model %s stays as it is, the reload failed: %s", name, error)
            return
        self._unload(name, "for its reload")
        self._residents[name] = renewed

    def _open(self, name: str) -> _Resident:
        # First: if this model cannot be had, no other has to leave memory.
        path = self._on_disk.store.locate("model", name)
        n_bytes = self._on_disk.weights_bytes(name)
        revision = self._on_disk.revision(name)
        self._make_room(name, n_bytes)
        started = time.monotonic()
        compute_type = self._compute_type_for(name)
        engine = self._open_engine(path, compute_type)
        self.n_loads += 1
        _log.info(
            "model %s (%s) loaded on %s (%s) in %.1f s",
            name, revision or "no revision", self.device, compute_type,
            time.monotonic() - started,
        )  # fmt: skip
        used = ModelUsed(
            name, revision, self._settings.engine, engine.is_multilingual,
            ENGINES[self._settings.engine].ignores,
            # A CPU is as fast with one chunk at a time as with several.
            n_lanes=1 if self.device == "cpu" else self._settings.batch_size,
        )  # fmt: skip
        return _Resident(engine, used, self._generation, n_bytes, self._clock())

    def _compute_type_for(self, name: str) -> str:
        """The number format of a model: the operator's choice, else what the model needs."""
        needed = MODELS[name].compute_type
        return needed if needed and self._settings.compute_type == "auto" else self.compute_type

    def _open_engine(self, path: Path, compute_type: str) -> Engine:
        """Load weights; if they do not fit, unload every other model and try again."""

        def load() -> Engine:
            settings = self._settings
            return open_engine(
                settings.engine,
                path,
                device=self.device,
                compute_type=compute_type,
                threads=settings.n_threads,
            )

        try:
            return load()
        except GpuOutOfMemory:
            others = [name for name in self._residents.copy() if name != path.name]
            if not others:
                raise
        for name in others:
            self._unload(name, "to make room on the device")
        return load()

    def _make_room(self, coming: str, n_bytes: int) -> None:
        """Unload others, the least recently used first, until one more fits or none is left."""
        budget = self._settings.model_memory_bytes
        for name in [name for name in self._residents.copy() if name != coming]:
            n_models = len(self._residents.copy().keys() | {coming})
            held = sum(resident.n_bytes for resident in self._residents.copy().values())
            fits = not budget or held + n_bytes <= budget
            if n_models <= self._settings.resident_models and fits:
                return
            self._unload(name, f"to make room for {coming}")
        if budget and n_bytes > budget:
            _log.warning(
                "model %s alone has %s; LONGHAND_MODEL_MEMORY_BYTES is %s",
                coming, in_words(n_bytes), in_words(budget),
            )  # fmt: skip

    def _unload(self, name: str, why: str) -> None:
        del self._residents[name]
        gc.collect()  # engines hold reference cycles, and the next model needs the memory now
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():
            torch.cuda.empty_cache()  # torch does not give freed memory back by itself
        _log.info("model %s left memory %s", name, why)
