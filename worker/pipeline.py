"""Audio in, transcript out: the stages, top to bottom. It knows neither Redis nor jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from shared.catalogue import MODELS
from shared.errors import InvalidRequest
from shared.phrase_book import PHRASE_BOOK, WARNING, WARNING_CODE
from shared.request import TranscriptionRequest
from shared.speaker_names import rename_speakers
from shared.times import segments_in_order
from shared.transcript import Segment, Transcript, Warned, join_text
from worker.annotation import Annotators, Subject, align_words, find_speakers
from worker.audio.constants import N_SAMPLES
from worker.audio.source import AudioSource, Span
from worker.decoding.checkpoints import Checkpoint, NoCheckpoint, Plan
from worker.decoding.decode import ChunkQueue, Work, decode_lanes, lane_options
from worker.decoding.lanes import Done
from worker.decoding.pauses import long_pauses
from worker.decoding.progress import Progress, Report
from worker.decoding.untold import untold_warnings
from worker.diarization import Diarization, KnownSpeaker
from worker.diarization.speakers import assign_speakers
from worker.engines.base import Guess
from worker.speech.search import Speech, SpeechOptions


@dataclass(frozen=True)
class ModelUsed:
    """
    A model that is loaded, and by which engine.

    Attributes:
        ignores: Options that the engine cannot honour.
        n_lanes: How many chunks of one recording its device decodes at once.
    """

    name: str
    revision: str
    engine: str
    is_multilingual: bool
    ignores: frozenset[str] = frozenset()
    n_lanes: int = 1


class Models(Annotators, Protocol):
    """What the pipeline needs done by models, in this process or in others."""

    def load(self, name: str) -> ModelUsed:
        """Make sure a model of the catalogue is loaded."""
        ...

    def find_speech(
        self, audio: AudioSource, options: SpeechOptions, report: Callable[[float], None]
    ) -> Speech:
        """Find what is to be transcribed."""
        ...

    def detect_language(self, model: str, audio: AudioSource, chunk: Span) -> Guess:
        """Guess the language of a span of at most 30 s."""
        ...

    def open_queue(self, model: str, audio: AudioSource) -> ChunkQueue:
        """A queue for chunks of this audio that are to be decoded."""
        ...


@dataclass(frozen=True)
class Extras:
    """
    What a job may bring along.

    Attributes:
        checkpoint: Holds what an earlier attempt did, and is given what this one does.
        known_speakers: Voices to be told by name.
        is_read: Whether somebody reads the text as it is made.
    """

    checkpoint: Checkpoint = NoCheckpoint()
    known_speakers: tuple[KnownSpeaker, ...] = ()
    is_read: bool = False


def transcribe(
    audio: AudioSource,
    request: TranscriptionRequest,
    models: Models,
    report: Report,
    *,
    model: str,
    extras: Extras = Extras(),  # noqa: B008 - it is frozen
) -> Transcript:
    """
    Transcribe decoded audio.

    Args:
        report: Called at every step; what it raises ends the work.
        model: The model that `request.model` means at this site.

    Raises:
        InvalidRequest: The model cannot do what is asked.
    """
    report("speech", 0.0, 0.0)
    subject = Subject(audio, request, model, models)
    used = models.load(model)
    progress = Progress(_shares(request), report)
    decoded = _decoded(subject, models, used, extras, progress)
    segments, language = decoded.segments, decoded.language.language
    warnings = [*notices(used.name), *ignored_options(request, used)]
    if _aligns(request):
        segments, more = align_words(subject, segments, language, progress.of("align"))
        warnings += more
    found, more = find_speakers(subject, extras.known_speakers, progress.of("diarize"))
    if found is not None:
        segments = _assigned(segments, found, progress)
    finished = _finished(segments, audio, has_words=request.wants_words)
    transcript = Transcript(
        text=join_text(finished, language, task=request.task),
        task=request.task,
        language=language,
        language_probability=round(decoded.language.probability, 4),
        duration=round(audio.duration_s, 3),
        duration_after_vad=round(decoded.speech.duration_s, 3),
        segments=finished,
        model=used.name,
        model_revision=used.revision,
        engine=used.engine,
        options=_carried_out(request, language, used),
        warnings=(*warnings, *more, *untold_warnings(decoded.speech, finished)),
        turns=found.turns if found else None,
        speaker_embeddings=dict(found.embeddings) if found and found.embeddings else None,
    )
    return rename_speakers(transcript, request.speaker_names)


def notices(model: str) -> list[Warned]:
    """What is to be known of every text by a model."""
    return [Warned(code=WARNING_CODE, message=WARNING)] if model == PHRASE_BOOK else []


def ignored_options(request: TranscriptionRequest, used: ModelUsed) -> list[Warned]:
    """A warning for options that change nothing, by name."""
    chosen = request.chosen()
    by_engine = sorted(used.ignores & chosen.keys())
    without_diarize = sorted(_OF_SPEAKERS & chosen.keys()) if not request.diarize else []
    without_vad = sorted(_OF_VAD & chosen.keys()) if not request.vad else []
    unaligned = sorted(_OF_ALIGNMENT & chosen.keys()) if not _aligns(request) else []
    is_english = chosen.keys() & {"multilingual"} if not used.is_multilingual else ()
    return [
        Warned(code="option_ignored", message=f"{', '.join(names)}: {why}")
        for names, why in (
            (by_engine, f"the engine {used.engine} cannot do this; another of LONGHAND_ENGINE can"),
            (without_diarize, "only diarize=true tells voices apart"),
            (without_vad, "with vad=false no speech is looked for"),
            (unaligned, "words are aligned only where they are asked for, and no translations"),
            (is_english, f"the model {used.name} knows English only"),
        )
        if names
    ]


_OF_SPEAKERS = frozenset(
    {
        "num_speakers", "min_speakers", "max_speakers", "diarize_model", "clustering_threshold",
        "speaker_embeddings", "speaker_names", "known_speaker_names",
    }
)  # fmt: skip
_OF_ALIGNMENT = frozenset({"align_model", "interpolate_method", "return_char_alignments"})
_OF_VAD = frozenset(
    {
        "vad_method", "vad_onset", "vad_offset", "min_speech_duration_ms",
        "min_silence_duration_ms", "speech_pad_ms",
    }
)  # fmt: skip


def _aligns(request: TranscriptionRequest) -> bool:
    if request.task == "translate":  # what is written is not what is said
        return False
    return (request.wants_words or request.diarize) and request.align is not False


def _shares(request: TranscriptionRequest) -> dict[str, float]:
    """How much of the work each stage is, on a usual machine."""
    return {
        "speech": 5.0,
        "transcribe": 95.0,
        "align": 10.0 * _aligns(request),
        "diarize": 40.0 * request.diarize,
        "assign": 0.1,
    }


@dataclass(frozen=True)
class _Decoded:
    """What was said: segments in time order, and the language of most of them."""

    speech: Speech
    segments: list[Segment]
    language: Guess


def _decoded(
    subject: Subject, models: Models, used: ModelUsed, extras: Extras, progress: Progress
) -> _Decoded:
    """Go on by the plan of an earlier attempt, or make one; decode what is not done."""
    request, checkpoint = subject.request, extras.checkpoint
    _check_language(request, used)
    model = (used.name, used.revision, used.engine)
    plan, done = checkpoint.recall(model) or (None, {})
    if plan is None:
        # One who reads along reads in the order of time: side by side they would have to wait.
        n_lanes = 1 if extras.is_read else used.n_lanes
        wanted = SpeechOptions.of(request, n_lanes)
        speech = models.find_speech(subject.audio, wanted, progress.of("speech"))
        plan = Plan(model, speech)
        checkpoint.begin(plan)
    options = lane_options(
        request,
        MODELS[used.name],
        is_multilingual=used.is_multilingual,
        can_draw="temperature" not in used.ignores,
    )
    skipped = () if options.ends_at_pauses else long_pauses(plan.speech.spans)
    heard = replace(plan.speech, skipped=skipped)
    work = Work(heard, options, used.n_lanes, done, checkpoint, extras.is_read)
    queue = models.open_queue(used.name, replace(subject.audio, skipped=skipped))
    try:
        found = decode_lanes(work, queue, progress)
    finally:
        queue.close()
    chunks = [found[index] for index in sorted(found)]
    language = _language_of(chunks) or _guess(subject, used, models)
    return _Decoded(plan.speech, _segments_of(chunks, request), language)


def _check_language(request: TranscriptionRequest, used: ModelUsed) -> None:
    if not used.is_multilingual and request.language not in (None, "en"):
        raise InvalidRequest(
            f"model {used.name!r} knows English only; ask for another model, "
            f"or leave out language {request.language!r}",
            param="language",
        )


def _language_of(chunks: Sequence[Done]) -> Guess | None:
    """The language most is said in, and how sure the model was where it began; None of nothing."""
    spoken: dict[str, float] = defaultdict(float)
    sure: dict[str, float] = {}
    for chunk in chunks:
        told = [(s.language or chunk.language or "", s.end - s.start) for s in chunk.segments]
        for language, length_s in told or [(chunk.language or "", 0.0)]:
            spoken[language] += length_s
            sure.setdefault(language, chunk.language_probability)
    most = max(spoken, key=spoken.__getitem__, default=None)
    return None if most is None else Guess(most, sure[most])


def _guess(subject: Subject, used: ModelUsed, models: Models) -> Guess:
    """The language of a recording in which nothing is said, as far as there is one."""
    if subject.request.language or not used.is_multilingual:
        return Guess(subject.request.language or "en", 1.0)
    audio = subject.audio
    whole = Span(0, min(audio.n_samples, N_SAMPLES))
    return models.detect_language(used.name, audio, whole)


def _segments_of(chunks: Sequence[Done], request: TranscriptionRequest) -> list[Segment]:
    """All segments; each tells its language if that was asked for, or if there is more than one."""
    segments = [segment for chunk in chunks for segment in chunk.segments]
    if request.multilingual or len({segment.language for segment in segments}) > 1:
        return segments
    return [segment.model_copy(update={"language": None}) for segment in segments]


def _assigned(segments: Sequence[Segment], found: Diarization, progress: Progress) -> list[Segment]:
    progress.of("assign")(0.0)
    return assign_speakers(segments, found.turns, found.exclusive_turns)


def _finished(
    segments: Sequence[Segment], audio: AudioSource, *, has_words: bool
) -> tuple[Segment, ...]:
    """Segments numbered, in order and none of no length; with words only where they are wanted."""
    without = {} if has_words else {"words": None}
    placed = segments_in_order(segments, audio.duration_s)
    return tuple(s.model_copy(update={"id": n, **without}) for n, s in enumerate(placed))


def _carried_out(request: TranscriptionRequest, language: str, used: ModelUsed) -> dict[str, Any]:
    """The options that were chosen, as they were carried out; of voices only whose they are."""
    chosen = request.model_dump(
        mode="json", exclude_defaults=True, exclude={"known_speaker_references"}
    )
    return {**chosen, "task": request.task, "language": language, "model": used.name}
