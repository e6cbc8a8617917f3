"""Alignment and diarization models in memory: what the annotation child of a worker serves."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeVar

from shared.errors import EngineFailed
from shared.transcript import Segment
from worker.alignment import Aligner, AlignmentOptions, open_aligner
from worker.audio.source import AudioSource
from worker.diarization import (
    Diarization,
    DiarizationOptions,
    Diarizer,
    open_diarizer,
)
from worker.models.store import ModelStore
from worker.processes.devices import best_device
from worker.settings import WorkerSettings

_MOST_ALIGNERS = 2
"""Kept in memory; each is for one language."""

_Model = TypeVar("_Model")

_log = logging.getLogger(__name__)


class AnnotationModels:
    """`annotation.Annotators` in this process. Not for several threads at once."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._store = ModelStore.of(settings)
        self.site_diarizer = settings.diarizer
        self._aligners: OrderedDict[str, Aligner] = OrderedDict()
        self._diarizers: OrderedDict[str, Diarizer] = OrderedDict()

    def load_aligner(self, name: str) -> None:
        """Load an alignment model unless it is in memory; it may have to be downloaded first."""
        self._aligner(name)

    def load_diarizer(self, name: str) -> None:
        """Load a diarization model unless it is in memory; it may have to be downloaded first."""
        self._diarizer(name)

    def align(
        self,
        aligner: str,
        audio: AudioSource,
        segments: Sequence[Segment],
        options: AlignmentOptions,
        report: Callable[[float], None] = lambda fraction: None,
    ) -> list[Segment]:
        """See `Annotators.align`."""
        return self._aligner(aligner).align(audio, segments, options, report)

    def find_turns(
        self,
        diarizer: str,
        audio: AudioSource,
        options: DiarizationOptions,
        report: Callable[[float], None],
    ) -> Diarization:
        """See `Annotators.find_turns`."""
        return self._diarizer(diarizer).find_turns(audio, options, report)

    def _aligner(self, name: str) -> Aligner:
        return self._lend(self._aligners, name, open_aligner, most=_MOST_ALIGNERS)

    def _diarizer(self, name: str) -> Diarizer:
        return self._lend(self._diarizers, name, open_diarizer, most=1)

    def _lend(
        self,
        loaded: OrderedDict[str, _Model],
        name: str,
        open_model: Callable[..., _Model],
        *,
        most: int,
    ) -> _Model:
        """The model of that name. If it has to be loaded, the least recently used one leaves."""
        if name not in loaded:
            while len(loaded) >= most:  # first, since the next one needs its memory
                loaded.popitem(last=False)
            try:
                device, threads = best_device(self._settings.device), self._settings.n_threads
                loaded[name] = open_model(name, self._store, device=device, threads=threads)
            except ImportError as error:
                raise EngineFailed(
                    f"{name!r} needs libraries that this worker lacks ({error}); "
                    "install the extra `diarization`"
                ) from error
            _log.info("model %s loaded", name)
        loaded.move_to_end(name)
        return loaded[name]
