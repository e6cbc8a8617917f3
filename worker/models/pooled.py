"""`pipeline.Models` in other processes: what a worker's jobs share."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import EngineFailed, JobTimedOut
from shared.logs import configure_logs
from shared.transcript import Segment
from worker.audio import AudioSource, decode
from worker.batching import Call, ChunkBatcher
from worker.children import Child, ChildDied, ChildPool
from worker.engines.base import DecodeOptions, Guess
from worker.models.cache import ChunkTask, ModelCache, speech_of
from worker.pipeline import ModelUsed, Speech
from worker.settings import WorkerSettings, limit_threads, quieten_libraries
from worker.speech import Span

LOAD_S = 3600.0
"""Patience with loading a model, which may have to be downloaded first."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineStatus:
    """What the engine process says of itself after each call."""

    device: str
    compute_type: str
    loaded: tuple[str, ...]
    n_model_loads: int


class EngineService:
    """What runs in the engine process: every answer comes with the process's status."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._cache = ModelCache(settings)

    def load(self, name: str, _item: None) -> tuple[list[ModelUsed], EngineStatus]:
        """Load a model."""
        return [self._cache.load(name)], self._status()

    def detect_language(
        self, name: str, item: tuple[AudioSource, Span]
    ) -> tuple[list[Guess], EngineStatus]:
        """Guess the language of one chunk."""
        return [self._cache.detect_language(name, *item)], self._status()

    def transcribe(
        self, name: str, tasks: list[ChunkTask]
    ) -> tuple[list[list[Segment]], EngineStatus]:
        """Decode a batch."""
        return self._cache.transcribe(name, tasks), self._status()

    def _status(self) -> EngineStatus:
        cache = self._cache
        return EngineStatus(cache.device, cache.compute_type, cache.names(), cache.n_loads)


class AudioService:
    """What runs in the CPU pool."""

    def decode(self, path: Path, scratch: Path, note: Callable[[float], None]) -> AudioSource:
        """Decode a file to scratch."""
        return decode(path, scratch, note)

    def find_speech(
        self, audio: AudioSource, chunk_s: float, note: Callable[[float], None]
    ) -> Speech:
        """Find speech and cut it into chunks."""
        return speech_of(audio, chunk_s, note)


def engine_service(settings: WorkerSettings) -> EngineService:
    """Set this process up for an engine."""
    configure_logs(settings.log_level, settings.log_format)
    quieten_libraries()
    limit_threads(settings.engine_threads)
    return EngineService(settings)


def audio_service(settings: WorkerSettings) -> AudioService:
    """Set this process up for decoding and speech."""
    configure_logs(settings.log_level, settings.log_format)
    quieten_libraries()
    limit_threads(1)
    return AudioService()


class SharedProcesses:
    """
    The children of one worker.

    Args:
        make_engine: Makes what runs in the engine process; tests give their own.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        make_engine: Callable[[WorkerSettings], object] = engine_service,
    ) -> None:
        self.settings = settings
        factory = functools.partial(make_engine, settings)
        self.batcher = ChunkBatcher(
            lambda: Child(factory, "engine"),
            batch_size=settings.batch_size,
            stall_s=settings.stall_s,
        )
        self.audio = ChildPool(
            functools.partial(audio_service, settings), "audio", settings.cpu_processes
        )

    @contextmanager
    def running(self, tick: Callable[[], None] = lambda: None) -> Iterator[SharedProcesses]:
        """
        Start the children, and end them with the block.

        Args:
            tick: Called a few times a second while they start; what it raises ends them.
        """
        try:
            self.batcher.start(tick)
            yield self
        finally:
            self.batcher.stop()
            self.audio.stop()


class PooledModels:
    """
    `pipeline.Models` for one job: its chunks go into batches with those of other jobs.

    Args:
        tick: Called a few times a second while the job waits; what it raises ends the job.
    """

    def __init__(self, processes: SharedProcesses, tick: Callable[[], None]) -> None:
        self._processes = processes
        self._tick = tick

    def decode(self, path: Path, scratch: Path, report: Callable[[float], None]) -> AudioSource:
        """Decode a file to scratch in the CPU pool."""
        audio: AudioSource = self._in_audio_child("decode", path, scratch, report)
        return audio

    def load(self, name: str) -> ModelUsed:
        """See `Models.load`."""
        call = Call("load", (name,), None, f"model {name!r}", is_batched=False, stall_s=LOAD_S)
        used: ModelUsed = self._one(call)
        return used

    def find_speech(
        self, audio: AudioSource, chunk_s: float, report: Callable[[float], None]
    ) -> Speech:
        """See `Models.find_speech`."""
        try:
            speech: Speech = self._in_audio_child("find_speech", audio, chunk_s, report)
        except TimeoutError as error:
            raise JobTimedOut(f"the search for speech stood still ({error})") from error
        except ChildDied as error:
            raise EngineFailed(f"speech could not be looked for ({error})") from error
        return speech

    def detect_language(self, model: str, audio: AudioSource, chunk: Span) -> Guess:
        """See `Models.detect_language`."""
        label = f"the audio at {_clock(chunk)}"
        call = Call("detect_language", (model,), (audio, chunk), label, is_batched=False)
        guess: Guess = self._one(call)
        return guess

    def transcribe(
        self, model: str, audio: AudioSource, chunks: Sequence[Span], options: DecodeOptions
    ) -> Iterator[tuple[int, list[Segment]]]:
        """See `Models.transcribe`."""
        calls = [
            Call(
                "transcribe",
                (model,),
                ChunkTask(audio, span, options),
                f"the audio at {_clock(span)}",
            )
            for span in chunks
        ]
        return self._processes.batcher.submit(calls, self._tick)

    def _one(self, call: Call) -> Any:
        [(_, answer)] = self._processes.batcher.submit([call], self._tick)
        return answer

    def _in_audio_child(self, method: str, *args: Any) -> Any:
        try:
            return self._once_in_audio_child(method, *args)
        except ChildDied as error:
            # Once it may have been killed by no fault of the job.
            _log.warning("%s begins again: %s", method, error)
            return self._once_in_audio_child(method, *args)

    def _once_in_audio_child(self, method: str, *args: Any) -> Any:
        *given, report = args
        stall_s = self._processes.settings.stall_s
        with self._processes.audio.lend(self._tick) as child:
            return child.call(method, *given, stall_s=stall_s, note=report, tick=self._tick)


def _clock(span: Span) -> str:
    return f"{span.start / 16_000:.1f}-{span.end / 16_000:.1f} s"
