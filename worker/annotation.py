"""
The stages a transcript can do without: times of words, and who speaks.

What fails here never costs the transcript: it becomes a warning that says what
failed and how to mend it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import groupby, islice
from typing import Protocol, TypeVar

from shared.catalogue import MODELS
from shared.errors import JobCancelled, LonghandError, ModelNotFound
from shared.request import TranscriptionRequest
from shared.transcript import Segment, Warned
from worker.alignment import AlignmentOptions, aligner_name
from worker.audio.source import AudioSource
from worker.diarization import Diarization, DiarizationOptions, KnownSpeaker

_ALIGNED_AT_ONCE = 16
"""Segments in one call, so that progress is told and jobs take turns."""

_Value = TypeVar("_Value")
_Between = tuple[float | None, float | None]
"""When the segment before ends and the one after begins, in seconds."""

_log = logging.getLogger(__name__)


class Annotators(Protocol):
    """What these stages need done by models, in this process or in others."""

    def align(
        self,
        aligner: str,
        audio: AudioSource,
        segments: Sequence[Segment],
        options: AlignmentOptions,
    ) -> list[Segment]:
        """Give words the times that an alignment model finds."""
        ...

    def find_turns(
        self,
        diarizer: str,
        audio: AudioSource,
        options: DiarizationOptions,
        report: Callable[[float], None],
    ) -> Diarization:
        """Find out who speaks when."""
        ...

    def diarizer_for(self, model: str, chosen: str | None) -> str:
        """
        The diarization model that is meant.

        Raises:
            ModelNotFound: None is known by the name that was chosen.
        """
        ...


@dataclass(frozen=True)
class Subject:
    """What is to be annotated, how, and by whose models; `model` is the one that wrote it."""

    audio: AudioSource
    request: TranscriptionRequest
    model: str
    annotators: Annotators


def align_words(
    subject: Subject, segments: Sequence[Segment], language: str, report: Callable[[float], None]
) -> tuple[list[Segment], list[Warned]]:
    """Time words by alignment models, where there is one for the language spoken."""
    aligned: list[Segment] = []
    warnings: dict[str, Warned] = {}
    for spoken, group in groupby(segments, key=lambda segment: segment.language or language):
        while some := list(islice(group, _ALIGNED_AT_ONCE)):
            report(len(aligned) / len(segments))
            if spoken not in warnings:
                after_s = aligned[-1].end if aligned else None
                following = segments[len(aligned) + len(some) :][:1]
                between = (after_s, following[0].start if following else None)
                found, warning = _align_some(subject, some, spoken, between)
                some = found or some
                if warning:
                    warnings[spoken] = warning
            aligned += some
    return aligned, list(warnings.values())


def _align_some(
    subject: Subject, segments: Sequence[Segment], language: str, between: _Between
) -> tuple[list[Segment] | None, Warned | None]:
    request, annotators = subject.request, subject.annotators
    options = AlignmentOptions(
        language, request.interpolate_method, request.return_char_alignments, *between
    )
    is_chosen = request.align or request.align_model or request.return_char_alignments
    if not is_chosen and not _can_align():
        return None, None

    def align() -> list[Segment] | None:
        name = aligner_name(language, MODELS[subject.model], request.align_model)
        if name is None:
            if is_chosen:
                raise ModelNotFound(
                    f"no alignment model is known for {language!r}; put one into a folder below "
                    "LONGHAND_MODELS_DIR and name it as align_model"
                )
            return None
        return annotators.align(name, subject.audio, segments, options)

    return _attempt(align, "alignment_failed", "words are timed by Whisper")


def _can_align() -> bool:
    """Whether this worker has the libraries that align; without them nobody expects it to."""
    return find_spec("torchaudio") is not None and find_spec("transformers") is not None


def find_speakers(
    subject: Subject, known_speakers: Sequence[KnownSpeaker], report: Callable[[float], None]
) -> tuple[Diarization | None, list[Warned]]:
    """Find out who speaks when, if that is asked for."""
    request, annotators = subject.request, subject.annotators
    if not request.diarize:
        return None, []
    options = DiarizationOptions(
        num_speakers=request.num_speakers,
        min_speakers=request.min_speakers,
        max_speakers=request.max_speakers,
        clustering_threshold=request.clustering_threshold,
        wants_embeddings=request.speaker_embeddings,
        known_speakers=tuple(known_speakers),
    )

    def find() -> Diarization:
        name = annotators.diarizer_for(subject.model, request.diarize_model)
        return annotators.find_turns(name, subject.audio, options, report)

    found, warning = _attempt(find, "diarization_failed", "it is not known who speaks")
    if found is None:
        return None, [warning] if warning else []
    return found, list(found.warnings)


def _attempt(
    work: Callable[[], _Value], code: str, outcome: str
) -> tuple[_Value | None, Warned | None]:
    """What an optional stage gives, or a warning in its place."""
    try:
        return work(), None
    except JobCancelled:
        raise
    except LonghandError as error:
        _log.warning("%s: %s", outcome, error)
        return None, Warned(code=code, message=f"{outcome}: {error}")
    except Exception as error:
        _log.exception("%s", outcome)
        message = f"{outcome}: {type(error).__name__}: {error}; the worker's log says more"
        return None, Warned(code=code, message=message)
