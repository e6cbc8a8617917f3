"""Who speaks when: turns of speakers, found by a pyannote.audio pipeline."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shared.transcript import SpeakerTurn, Warned
from worker.audio import AudioSource
from worker.diarization_files import DiarizerFiles, diarizer_name, read_config
from worker.known_speakers import match_speakers
from worker.models.store import ModelStore
from worker.settings import quieten_libraries

if TYPE_CHECKING:
    from pyannote.core import Annotation

    from worker.diarization_pipeline import SpanDiarization

__all__ = [
    "Diarization",
    "DiarizationOptions",
    "Diarizer",
    "KnownSpeaker",
    "diarizer_name",
    "open_diarizer",
]

LEAST_REFERENCE_S = 0.5
"""Seconds somebody has to speak in a reference for their voice to be known."""

_STEPS = {"segmentation": (0.0, 0.2), "embeddings": (0.2, 0.94), "clustering": (0.94, 0.99)}
"""Which part of the work each step of a pipeline is: finding speech, hearing and sorting voices."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KnownSpeaker:
    """A person whose voice is known, by a recording in which they speak, best 2 to 10 s long."""

    name: str
    audio: AudioSource


@dataclass(frozen=True)
class DiarizationOptions:
    """
    What a caller may ask of a diarization.

    Attributes:
        clustering_threshold: How far voices of one speaker may lie apart; None: as tuned.
        wants_embeddings: Whether a vector for each speaker's voice is to be given.
    """

    num_speakers: int | None = None
    min_speakers: int | None = None
    max_speakers: int | None = None
    clustering_threshold: float | None = None
    wants_embeddings: bool = False
    known_speakers: tuple[KnownSpeaker, ...] = ()


@dataclass(frozen=True)
class Diarization:
    """
    Who speaks when.

    Attributes:
        turns: In time order; where people talk at once, turns of theirs overlap.
        exclusive_turns: The same with one speaker at a time, for putting speakers on words.
        embeddings: A vector for each speaker, where they were asked for and could be told.
    """

    turns: tuple[SpeakerTurn, ...] = ()
    exclusive_turns: tuple[SpeakerTurn, ...] = ()
    embeddings: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    warnings: tuple[Warned, ...] = ()


class Diarizer:
    """A loaded pipeline. For one call at a time."""

    def __init__(self, pipeline: SpanDiarization) -> None:
        self._pipeline = pipeline

    def find_turns(
        self,
        audio: AudioSource,
        options: DiarizationOptions,
        note: Callable[[float], None] = lambda fraction: None,
    ) -> Diarization:
        """
        Find who speaks when.

        Speakers are `SPEAKER_00`, `SPEAKER_01` … in the order in which they appear, or
        go by the name of a known speaker with their voice.

        Args:
            note: Called now and then with the fraction that is done; may raise to stop.
        """
        if not audio.n_samples:
            return Diarization()
        with _threshold(self._pipeline, options.clustering_threshold) as ignored:
            output = self._apply(audio, options, note)
        labels = _in_order(output.speaker_diarization)
        voices = {
            labels[label]: vector
            for label, vector in zip(
                output.speaker_diarization.labels(), output.speaker_embeddings, strict=False
            )
            if math.isfinite(sum(vector)) and any(vector)
        }
        names, known_warnings = self._match(voices, options.known_speakers)
        called = {label: names.get(speaker, speaker) for label, speaker in labels.items()}
        warned = [*ignored, *_count_warnings(len(labels), options), *known_warnings]
        wanted = voices if options.wants_embeddings else {}
        note(1.0)
        return Diarization(
            _turns(output.speaker_diarization, called, audio.duration_s),
            _one_at_a_time(_turns(output.exclusive_speaker_diarization, called, audio.duration_s)),
            {names.get(s, s): tuple(float(x) for x in vector) for s, vector in wanted.items()},
            tuple(warned),
        )

    def _apply(
        self, audio: AudioSource, options: DiarizationOptions, note: Callable[[float], None]
    ) -> Any:
        def hook(step: str, *_: object, total: int = 0, completed: int = 0, **__: object) -> None:
            if total and step in _STEPS:
                start, end = _STEPS[step]
                note(start + (end - start) * min(completed, total) / total)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of empty means, and of what we warn of ourselves
            return self._pipeline.apply(
                {"uri": "audio", "source": audio},
                num_speakers=options.num_speakers,
                min_speakers=options.min_speakers,
                max_speakers=options.max_speakers,
                hook=hook,
            )

    def _match(
        self, voices: Mapping[str, Any], known: Sequence[KnownSpeaker]
    ) -> tuple[dict[str, str], list[Warned]]:
        """Which found speakers are known ones, and whose reference says nothing."""
        heard, warned = [], []
        for speaker in known:
            vector, seconds = self._pipeline.embed_voice(speaker.audio)
            if vector is None or seconds < LEAST_REFERENCE_S:
                message = (
                    f"the recording of {speaker.name!r} holds {seconds:.1f} s of speech, and "
                    f"{LEAST_REFERENCE_S} s are needed; give 2 to 10 s of that voice alone"
                )
                warned.append(Warned(code="known_speaker_unusable", message=message))
            else:
                heard.append((speaker.name, vector))
        return match_speakers(voices, heard), warned


def _in_order(found: Annotation) -> dict[Any, str]:
    """`SPEAKER_NN` for each label, by first appearance."""
    labels = dict.fromkeys(label for _, _, label in found.itertracks(yield_label=True))
    return {label: f"SPEAKER_{i:02d}" for i, label in enumerate(labels)}


def _turns(
    found: Annotation, called: Mapping[Any, str], duration_s: float
) -> tuple[SpeakerTurn, ...]:
    """Turns within the audio, which a last chunk's padding is not; to the millisecond."""
    spans = (
        (called[label], max(0.0, span.start), min(span.end, duration_s))
        for span, _, label in found.itertracks(yield_label=True)
    )
    rounded = ((speaker, round(start, 3), round(end, 3)) for speaker, start, end in spans)
    turns = (
        SpeakerTurn(speaker=speaker, start=start, end=min(end, duration_s))
        for speaker, start, end in rounded
        if end > start
    )
    return tuple(sorted(turns, key=lambda turn: (turn.start, turn.end)))


def _one_at_a_time(turns: Sequence[SpeakerTurn]) -> tuple[SpeakerTurn, ...]:
    """Without the overlaps that come of closing short pauses in which another one speaks."""
    kept: list[SpeakerTurn] = []
    for turn in turns:
        end = kept[-1].end if kept else 0.0
        if turn.end > end:
            kept.append(turn.model_copy(update={"start": max(turn.start, end)}))
    return tuple(kept)


def _count_warnings(n_found: int, options: DiarizationOptions) -> Iterator[Warned]:
    low = options.num_speakers or options.min_speakers or 0
    high = options.num_speakers or options.max_speakers or math.inf
    if n_found and not low <= n_found <= high:
        asked = f"{low}" if low == high else f"{low or 1} to {high}"
        yield Warned(
            code="speaker_count_not_met",
            message=f"{n_found} speakers were found where {asked} were asked for; the audio may "
            f"be too short to tell more apart",
        )


@contextmanager
def _threshold(pipeline: SpanDiarization, threshold: float | None) -> Iterator[list[Warned]]:
    """Cluster by another threshold until the block ends; warn where there is none to change."""
    if threshold is None:
        yield []
        return
    tuned = pipeline.parameters(instantiated=True).get("clustering", {})
    if "threshold" not in tuned:
        message = f"{pipeline.klustering} has no clustering_threshold; it was left out"
        yield [Warned(code="option_ignored", message=message)]
        return
    pipeline.instantiate({"clustering": {"threshold": threshold}})
    try:
        yield []
    finally:
        pipeline.instantiate({"clustering": {"threshold": tuned["threshold"]}})


def open_diarizer(name: str, store: ModelStore, *, device: str, threads: int = 1) -> Diarizer:
    """
    Load a pipeline by name.

    Args:
        store: Where folders of models lie, and whether a missing one may be fetched.
        device: `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads, of this whole process.

    Raises:
        ModelNotFound: It is not here and cannot be fetched; says how to mend it.
    """
    quieten_libraries()  # before pyannote.audio is imported, which reports its use by default
    folder = store.locate(DiarizerFiles(name))
    config = read_config(folder)
    import torch

    from worker.diarization_pipeline import load_pipeline

    torch.set_num_threads(threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of versions the checkpoints were written by
        return Diarizer(load_pipeline(folder, config, device=device))
