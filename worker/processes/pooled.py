"""`pipeline.Models` in child processes, which all jobs of a worker share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.errors import EngineFailed, JobTimedOut, ModelNotFound
from shared.transcript import Segment
from worker.alignment import AlignmentOptions
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource, Span
from worker.decoding.decode import QueuePosition
from worker.diarization import Diarization, DiarizationOptions
from worker.engines.base import DecodeOptions, Decoding, Guess
from worker.pipeline import ModelUsed
from worker.processes.batching import ChunkBatcher
from worker.processes.cache import ChunkTask
from worker.processes.calls import Call, CallQueue
from worker.processes.children import Child, ChildPool
from worker.processes.lanes import ChildDied
from worker.processes.loads import FailedLoads
from worker.processes.services import annotation_service, audio_service, engine_service
from worker.settings import WorkerSettings
from worker.speech.detection import Speech, SpeechOptions

LOAD_S = 3600.0
"""How long loading a model may take; it may have to be downloaded first."""

STOP_S = 30.0
"""How long a cancelled annotation has to end by itself; if it does, its models stay loaded."""

_LOOK_FOR_IDLE_S = 30.0


class SharedProcesses:
    """
    The children of one worker.

    Args:
        make_engine: Makes the object that the engine process serves; tests give their own.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        make_engine: Callable[[WorkerSettings], object] = engine_service,
    ) -> None:
        self.settings = settings
        self.failed_loads = FailedLoads()
        factory = functools.partial(make_engine, settings)
        self.batcher = ChunkBatcher(
            lambda: Child(factory, "engine"),
            batch_size=settings.batch_size,
            stall_s=settings.stall_s,
            when_idle=_when_idle(settings),
        )
        self.audio = ChildPool(
            functools.partial(audio_service, settings), "audio", settings.cpu_processes
        )
        self.annotation = ChildPool(
            functools.partial(annotation_service, settings), "annotation", 1
        )

    @contextmanager
    def running(self, check: Callable[[], None] = lambda: None) -> Iterator[SharedProcesses]:
        """
        Start the engine process, and end all children when the block ends.

        Args:
            check: Called a few times a second while it starts. What it raises ends the wait.
        """
        try:
            self.batcher.start(check)
            yield self
        finally:
            self.batcher.stop()
            self.audio.stop()
            self.annotation.stop()


def _when_idle(settings: WorkerSettings) -> tuple[float, Call] | None:
    """How often to unload idle models, and the call that does; None if models stay."""
    if not settings.model_ttl_s:
        return None
    call = Call("unload_idle", (), None, "idle models", is_batched=False)
    return min(_LOOK_FOR_IDLE_S, settings.model_ttl_s / 2), call


class PooledModels:
    """
    `pipeline.Models` for one job. Its chunks go into batches with those of other jobs.

    Args:
        check: Called a few times a second while the job waits. What it raises ends the job.
        generation: Models of an older generation are loaded again.
    """

    def __init__(
        self, processes: SharedProcesses, check: Callable[[], None], *, generation: int = 0
    ) -> None:
        self._processes = processes
        self._check = check
        self._generation = generation
        self.site_diarizer = processes.settings.diarizer

    def decode(
        self,
        path: Path,
        scratch: Path,
        track: int | None = None,
        report: Callable[[float], None] = lambda fraction: None,
    ) -> AudioSource:
        """Decode a file in an audio child; see `worker.audio.source.decode`."""
        audio: AudioSource = self._in_audio_child("decode", path, scratch, track, report=report)
        return audio

    def decode_channels(
        self,
        path: Path,
        scratch: Path,
        track: int | None = None,
        report: Callable[[float], None] = lambda fraction: None,
    ) -> tuple[AudioSource, ...]:
        """Decode each channel of a file in an audio child; see `decode_channels` there."""
        channels: tuple[AudioSource, ...] = self._in_audio_child(
            "decode_channels", path, scratch, track, report=report
        )
        return channels

    def load(self, name: str) -> ModelUsed:
        """See `Models.load`."""
        call = Call(
            "load", (name,), self._generation, f"model {name!r}", is_batched=False, stall_s=LOAD_S
        )
        failed = self._processes.failed_loads
        try:
            used: ModelUsed = self._processes.batcher.answer(call, self._check)
        except (ModelNotFound, EngineFailed) as error:
            failed.remember(name, str(error))
            raise
        failed.forget(name)
        return used

    def find_speech(
        self, audio: AudioSource, options: SpeechOptions, report: Callable[[float], None]
    ) -> Speech:
        """See `Models.find_speech`."""
        try:
            speech: Speech = self._in_audio_child("find_speech", audio, options, report=report)
        except TimeoutError as error:
            raise JobTimedOut(f"the search for speech made no progress ({error})") from error
        except ChildDied as error:
            raise EngineFailed(f"the search for speech failed ({error})") from error
        return speech

    def detect_language(self, model: str, audio: AudioSource, chunk: Span) -> Guess:
        """See `Models.detect_language`."""
        label = f"the audio at {_clock(chunk)}"
        call = Call("detect_language", (model,), (audio, chunk), label, is_batched=False)
        guess: Guess = self._processes.batcher.answer(call, self._check)
        return guess

    def open_queue(self, model: str, audio: AudioSource) -> PooledQueue:
        """See `Models.open_queue`."""
        return PooledQueue(self._processes.batcher.open_queue(), self._check, model, audio)

    def align(
        self,
        aligner: str,
        audio: AudioSource,
        segments: Sequence[Segment],
        options: AlignmentOptions,
    ) -> list[Segment]:
        """See `Annotators.align`."""
        self._annotate("load_aligner", aligner, stall_s=LOAD_S)
        aligned: list[Segment] = self._annotate(
            "align", aligner, audio, segments, options, report=lambda fraction: None
        )
        return aligned

    def find_turns(
        self,
        diarizer: str,
        audio: AudioSource,
        options: DiarizationOptions,
        report: Callable[[float], None],
    ) -> Diarization:
        """See `Annotators.find_turns`."""
        self._annotate("load_diarizer", diarizer, stall_s=LOAD_S)
        found: Diarization = self._annotate("find_turns", diarizer, audio, options, report=report)
        return found

    def _in_audio_child(self, method: str, *args: Any, report: Callable[[float], None]) -> Any:
        processes = self._processes
        stall_s = processes.settings.stall_s
        return processes.audio.call(
            method, *args, check=self._check, stall_s=stall_s, report=report
        )

    def _annotate(
        self,
        method: str,
        *args: Any,
        report: Callable[[float], None] | None = None,
        stall_s: float | None = None,
    ) -> Any:
        processes = self._processes
        try:
            return processes.annotation.call(
                method,
                *args,
                check=self._check,
                stall_s=stall_s or processes.settings.stall_s,
                report=report,
                stop_s=STOP_S,
            )
        except TimeoutError as error:
            raise EngineFailed(f"it made no progress ({error})") from error
        except ChildDied as error:
            raise EngineFailed(f"its process died twice ({error})") from error


class PooledQueue:
    """A `ChunkQueue` whose chunks are decoded in batches with those of other jobs."""

    def __init__(
        self, calls: CallQueue, check: Callable[[], None], model: str, audio: AudioSource
    ) -> None:
        self._calls = calls
        self._check = check
        self._model = model
        self._audio = audio

    def add(
        self, index: int, span: Span, options: DecodeOptions, position: QueuePosition = "last"
    ) -> None:
        """See `ChunkQueue.add`."""
        call = Call(
            "transcribe",
            (self._model,),
            ChunkTask(self._audio, span, options),
            f"the audio at {_clock(span)}",
            alike=options.shared,
        )
        self._calls.add(index, call, position)

    def next(self) -> tuple[int, Decoding]:
        """See `ChunkQueue.next`."""
        return self._calls.next(self._check)

    def close(self) -> None:
        """See `ChunkQueue.close`."""
        self._calls.close()


def _clock(span: Span) -> str:
    start_s, end_s = (sample / SAMPLE_RATE_HZ for sample in span)
    return f"{start_s:.1f}-{end_s:.1f} s"
