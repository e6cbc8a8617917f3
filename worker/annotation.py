"""
The optional stages: times of words, and who speaks.

If one fails, the transcript is delivered without it, with a warning that says what failed and how
to mend it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import groupby, islice
from typing import Protocol

from shared.catalogue import MODELS
from shared.errors import JobCancelled, LonghandError, ModelNotFound
from shared.request import TranscriptionRequest
from shared.transcript import Segment, Warned
from worker.alignment import AlignmentOptions, aligner_name
from worker.audio.source import AudioSource
from worker.diarization import Diarization, DiarizationOptions, KnownSpeaker, diarizer_name

_ALIGNED_AT_ONCE = 16
"""Segments in one call. Between calls progress is reported, and other jobs take their turn."""

_log = logging.getLogger(__name__)


class Annotators(Protocol):
    """
    The models of these stages, in this process or in others.

    Attributes:
        site_diarizer: The name of the diarization model of this site.
    """

    site_diarizer: str

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


@dataclass(frozen=True)
class Subject:
    """What is annotated, how, and by which models; `model` is the one that wrote the text."""

    audio: AudioSource
    request: TranscriptionRequest
    model: str
    annotators: Annotators


def align_words(
    subject: Subject, segments: Sequence[Segment], language: str, report: Callable[[float], None]
) -> tuple[list[Segment], list[Warned]]:
    """Give words the times of an alignment model, if there is one for their language."""
    aligned: list[Segment] = []
    warnings: dict[str, Warned] = {}
    for spoken, group in groupby(segments, key=lambda segment: segment.language or language):
        while some := list(islice(group, _ALIGNED_AT_ONCE)):
            report(len(aligned) / len(segments))
            if spoken not in warnings:
                after_s = aligned[-1].end if aligned else None
                following = segments[len(aligned) + len(some) :][:1]
                between = (after_s, following[0].start if following else None)
                try:
                    some = _align(subject, some, spoken, between)
                except Exception as error:
                    outcome = "words are timed by Whisper"
                    warnings[spoken] = _warning_of(error, "alignment_failed", outcome)
            aligned += some
    return aligned, list(warnings.values())


def _align(
    subject: Subject,
    segments: list[Segment],
    language: str,
    between: tuple[float | None, float | None],
) -> list[Segment]:
    """
    Align some segments of one language; they stay as they are if nothing can align them.

    Args:
        between: When the segment before them ends and the one after them begins, in seconds.
    """
    request = subject.request
    is_chosen = request.align or request.align_model or request.return_char_alignments
    if not is_chosen and not _can_align():
        return segments
    name = aligner_name(language, MODELS[subject.model], request.align_model)
    if name is None and is_chosen:
        raise ModelNotFound(
            f"no alignment model is known for {language!r}; put one into a folder below "
            "LONGHAND_MODELS_DIR and name it as align_model"
        )
    if name is None:
        return segments
    options = AlignmentOptions(
        language, request.interpolate_method, request.return_char_alignments, *between
    )
    return subject.annotators.align(name, subject.audio, segments, options)


def _can_align() -> bool:
    """Whether the libraries for alignment are here. If not, only who asks gets a warning."""
    return find_spec("torchaudio") is not None and find_spec("transformers") is not None


def find_speakers(
    subject: Subject, known_speakers: Sequence[KnownSpeaker], report: Callable[[float], None]
) -> tuple[Diarization | None, list[Warned]]:
    """Find out who speaks when, if the request asks for it."""
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
    try:
        entry = MODELS[subject.model]
        name = diarizer_name(entry, annotators.site_diarizer, request.diarize_model)
        found = annotators.find_turns(name, subject.audio, options, report)
    except Exception as error:
        return None, [_warning_of(error, "diarization_failed", "it is not known who speaks")]
    return found, list(found.warnings)


def _warning_of(error: Exception, code: str, outcome: str) -> Warned:
    """
    The warning about a stage that failed; it is logged, too.

    Raises:
        JobCancelled: `error` is one: the job ends.
    """
    if isinstance(error, JobCancelled):
        raise error
    if isinstance(error, LonghandError):
        _log.warning("%s: %s", outcome, error)
        return Warned(code=code, message=f"{outcome}: {error}")
    _log.error("%s", outcome, exc_info=error)
    message = f"{outcome}: {type(error).__name__}: {error}; the worker's log says more"
    return Warned(code=code, message=message)
