"""Alignment and diarization models in memory: what the second child of a worker serves."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeVar

from shared.catalogue import MODELS
from shared.errors import EngineFailed
from shared.transcript import Segment
from worker.alignment import Aligner, AlignOptions, open_aligner
from worker.audio.source import AudioSource
from worker.diarization import (
    Diarization,
    DiarizationOptions,
    Diarizer,
    diarizer_name,
    open_diarizer,
)
from worker.models.store import Fetching, ModelStore
from worker.processes.devices import best_device
from worker.settings import WorkerSettings

_MOST_ALIGNERS = 2
"""In memory at a time; one is for one language."""

_Model = TypeVar("_Model")

_log = logging.getLogger(__name__)


class AnnotationModels:
    """`annotation.Annotators` in this very process. Not for several threads at once."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._store = ModelStore(settings.models_dir, Fetching.of(settings))
        self._aligners: OrderedDict[str, Aligner] = OrderedDict()
        self._diarizers: OrderedDict[str, Diarizer] = OrderedDict()

    def load_aligner(self, aligner: str) -> Aligner:
        """Load an alignment model unless it is in memory."""
        settings = self._settings
        return _lend(
            self._aligners,
            aligner,
            lambda: open_aligner(
                aligner,
                self._store,
                device=best_device(settings.device),
                threads=settings.n_threads,
            ),
            most=_MOST_ALIGNERS,
        )

    def load_diarizer(self, diarizer: str) -> Diarizer:
        """Load a diarization pipeline unless it is in memory."""
        settings = self._settings
        return _lend(
            self._diarizers,
            diarizer,
            lambda: open_diarizer(
                diarizer,
                self._store,
                device=best_device(settings.device),
                threads=settings.n_threads,
            ),
            most=1,
        )

    def align(
        self,
        aligner: str,
        audio: AudioSource,
        segments: Sequence[Segment],
        options: AlignOptions,
        report: Callable[[float], None] = lambda fraction: None,
    ) -> list[Segment]:
        """See `Annotators.align`."""
        return self.load_aligner(aligner).align(audio, segments, options, report)

    def find_turns(
        self,
        diarizer: str,
        audio: AudioSource,
        options: DiarizationOptions,
        report: Callable[[float], None],
    ) -> Diarization:
        """See `Annotators.find_turns`."""
        return self.load_diarizer(diarizer).find_turns(audio, options, report)

    def diarizer_for(self, model: str, chosen: str | None) -> str:
        """See `Annotators.diarizer_for`."""
        return diarizer_name(MODELS[model], self._settings.diarizer, chosen)


def _lend(
    loaded: OrderedDict[str, _Model], name: str, load: Callable[[], _Model], *, most: int
) -> _Model:
    """The model of that name; loading it moves the least recently used out."""
    if name not in loaded:
        try:
            while len(loaded) >= most:  # before the next one needs its memory
                loaded.popitem(last=False)
            model = load()
        except ImportError as error:
            raise EngineFailed(
                f"{name!r} needs libraries that this worker lacks ({error}); "
                "install the extra `diarization`"
            ) from error
        loaded[name] = model
        _log.info("model %s loaded", name)
    loaded.move_to_end(name)
    return loaded[name]
