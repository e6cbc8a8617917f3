"""Whisper models in memory: loaded when first used; the least recently used are unloaded."""

from __future__ import annotations

import gc
import logging
import sys
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shared.catalogue import MODELS
from shared.errors import EngineFailed, GpuOutOfMemory, LonghandError
from shared.sizes import in_words
from worker.audio.source import AudioSource, Span
from worker.engines import ENGINES, check_installed, open_engine
from worker.engines.base import Chunk, DecodeOptions, Decoding, Engine, Guess, LiveEngine
from worker.models.whisper_models import WhisperModels
from worker.pipeline import ModelUsed
from worker.processes.devices import best_device, choose_compute_type
from worker.settings import WorkerSettings

if TYPE_CHECKING:
    from worker.engines.live_decoder import LiveDecoder

_log = logging.getLogger(__name__)


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
        live: Its decoder for live sessions, which lives as long as a session has it.
    """

    engine: Engine
    used: ModelUsed
    generation: int
    n_bytes: int
    last_used: float
    live: weakref.ref[LiveDecoder] | None = None

    @property
    def decoder(self) -> LiveDecoder | None:
        """The decoder that live sessions have; None if no session uses the model."""
        return self.live() if self.live else None


class ModelCache:
    """
    The models of one device, for two threads: one of file jobs and one of live sessions.

    A call to a model that is in memory does not wait while another thread loads one. A model stays
    in memory as long as a live session uses it.

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
        self._lock = threading.Lock()
        """Held while `_residents` is read or changed, for a moment."""

        self._loading = threading.RLock()
        """Held while models are loaded and unloaded."""

        check_installed(settings.engine)
        self.device = best_device(settings.device)
        self.compute_type = choose_compute_type(settings.engine, settings.compute_type, self.device)
        self.n_loads = 0

    def names(self) -> tuple[str, ...]:
        """Models in memory, the least recently used first."""
        return tuple(name for name, _ in self._items())

    def revisions(self) -> dict[str, str]:
        """The revision of the weights in memory, by model."""
        return {name: resident.used.revision for name, resident in self._items()}

    def load(self, name: str, generation: int = 0) -> ModelUsed:
        """
        Load a model unless it is in memory; load it again if that one is of an older generation.

        The old one stays in memory until the new one is loaded, if there is room for both. If the
        new one cannot be loaded, the old one is used until the next generation, and the log says
        why.
        """
        self._generation = max(self._generation, generation)
        # Here too, since the batcher calls it only when there is no work.
        self.unload_idle(but=name)
        with self._loading:
            resident = self._find(name)
            if resident and resident.generation < generation:
                self._renew(name, resident)
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

    def live_decoder(self, name: str) -> LiveDecoder:
        """
        A decoder of a model for live sessions; see `worker.live.service.LiveModels`.

        Raises:
            ModelNotFound, EngineFailed: It cannot be had, or its engine has no such decoder.
        """
        with self._lent(name) as resident:
            decoder = resident.decoder
            if decoder is None:
                if not isinstance(resident.engine, LiveEngine):
                    raise EngineFailed(f"{self._settings.engine} takes no live sessions")
                decoder = resident.engine.live_decoder()
                resident.live = weakref.ref(decoder)
            return decoder

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
        with self._loading:
            oldest = self._clock() - ttl_s
            for _, resident in self._items():
                if resident.decoder is not None:
                    resident.last_used = self._clock()
            idle = [n for n, m in self._items() if m.last_used <= oldest and n != but]
            for name in idle:
                self._unload(name, f"after {ttl_s:g} s without use")
            return len(idle)

    @contextmanager
    def _lent(self, name: str) -> Iterator[_Resident]:
        resident = self._find(name)
        if resident is None:
            with self._loading:
                resident = self._find(name) or self._put(name, self._open(name))
        try:
            yield resident
        finally:
            resident.last_used = self._clock()

    def _find(self, name: str) -> _Resident | None:
        with self._lock:
            if name in self._residents:
                self._residents.move_to_end(name)
            return self._residents.get(name)

    def _put(self, name: str, resident: _Resident) -> _Resident:
        with self._lock:
            self._residents[name] = resident
        return resident

    def _items(self) -> list[tuple[str, _Resident]]:
        with self._lock:
            return list(self._residents.items())

    def _renew(self, name: str, old: _Resident) -> None:
        try:
            renewed = self._open(name)
        except GpuOutOfMemory:  # no room for both: the old one has to leave first
            self._unload(name, "for its reload")
            return
        except LonghandError as error:
            old.generation = self._generation
            _log.error("model %s stays as it is, the reload failed: %s", name, error)
            return
        self._unload(name, "for its reload")
        self._put(name, renewed)

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
            others = [n for n, m in self._items() if n != path.name and not m.decoder]
            if not others:
                raise
        for name in others:
            self._unload(name, "to make room on the device")
        return load()

    def _make_room(self, coming: str, n_bytes: int) -> None:
        """Unload others, the least recently used first, until one more fits or none is left."""
        budget = self._settings.model_memory_bytes
        for name, resident in self._items():
            if name == coming or resident.decoder:
                continue
            residents = dict(self._items())
            n_models = len(residents.keys() | {coming})
            held = sum(other.n_bytes for other in residents.values())
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
        with self._lock:
            del self._residents[name]
        gc.collect()  # engines hold reference cycles, and the next model needs the memory now
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():
            torch.cuda.empty_cache()  # torch does not give freed memory back by itself
        _log.info("model %s left memory %s", name, why)
