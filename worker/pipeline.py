"""Audio in, transcript out: the stages, top to bottom. Nothing here knows of Redis or jobs."""

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
from worker.decoding.decode import ChunkQueue, Work, decode_lanes
from worker.decoding.lanes import DecodedChunk
from worker.decoding.options import lane_options
from worker.decoding.pauses import long_pauses
from worker.decoding.progress import Progress, Report
from worker.decoding.speech_without_text import speech_without_text_warnings
from worker.diarization import KnownSpeaker
from worker.diarization.assignment import assign_speakers
from worker.engines.base import Guess
from worker.speech.detection import Speech, SpeechOptions


@dataclass(frozen=True)
class ModelUsed:
    """
    A model that is loaded, and its engine.

    Attributes:
        ignores: Options that the engine cannot carry out.
        n_lanes: How many chunks of one recording its device decodes at once.
    """

    name: str
    revision: str
    engine: str
    is_multilingual: bool
    ignores: frozenset[str] = frozenset()
    n_lanes: int = 1


class Models(Annotators, Protocol):
    """The models of the pipeline, in this process or in others."""

    def load(self, name: str) -> ModelUsed:
        """Load a model of the catalogue, unless it is loaded already."""
        ...

    def find_speech(
        self, audio: AudioSource, options: SpeechOptions, report: Callable[[float], None]
    ) -> Speech:
        """Find the parts of a recording that are to be transcribed."""
        ...

    def detect_language(self, model: str, audio: AudioSource, chunk: Span) -> Guess:
        """Detect the language of a span of at most 30 s."""
        ...

    def open_queue(self, model: str, audio: AudioSource) -> ChunkQueue:
        """A queue for chunks of this audio that are to be decoded."""
        ...


@dataclass(frozen=True)
class Extras:
    """
    What a job may have besides its audio and its request.

    Attributes:
        checkpoint: Holds what an earlier attempt did, and keeps what this one does.
        known_speakers: People whose voices are known.
        is_streamed: Whether the caller reads the text as it is made.
    """

    checkpoint: Checkpoint = NoCheckpoint()
    known_speakers: tuple[KnownSpeaker, ...] = ()
    is_streamed: bool = False


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
        InvalidRequest: The model cannot do what the request asks.
    """
    report("speech", 0.0, 0.0)
    subject = Subject(audio, request, model, models)
    used, progress = models.load(model), Progress(_shares(request), report)
    decoded = _decoded(subject, models, used, extras, progress)
    segments, language = decoded.segments, decoded.language.language
    warnings = [*notices(used.name), *ignored_options(request, used)]
    if _aligns(request):
        segments, more = align_words(subject, segments, language, progress.of("align"))
        warnings += more
    found, more = find_speakers(subject, extras.known_speakers, progress.of("diarize"))
    if found is not None:
        progress.of("assign")(0.0)
        segments = assign_speakers(segments, found.turns, found.exclusive_turns)
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
        warnings=(*warnings, *more, *speech_without_text_warnings(decoded.speech, finished)),
        turns=found.turns if found else None,
        speaker_embeddings=dict(found.embeddings) if found and found.embeddings else None,
    )
    return rename_speakers(transcript, request.speaker_names)


def notices(model: str) -> list[Warned]:
    """Warnings that come with every text of a model."""
    return [Warned(code=WARNING_CODE, message=WARNING)] if model == PHRASE_BOOK else []


def ignored_options(request: TranscriptionRequest, used: ModelUsed) -> list[Warned]:
    """Warnings that name the options that change nothing, and say why."""
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
    if request.task == "translate":  # the text is not what is said
        return False
    return (request.wants_words or request.diarize) and request.align is not False


def _shares(request: TranscriptionRequest) -> dict[str, float]:
    """How much of the work each stage takes on a usual machine."""
    return {
        "speech": 5.0,
        "transcribe": 95.0,
        "align": 10.0 * _aligns(request),
        "diarize": 40.0 * request.diarize,
        "assign": 0.1,
    }


@dataclass(frozen=True)
class _Decoded:
    """Speech as text: segments in time order, and the language of most of them."""

    speech: Speech
    segments: list[Segment]
    language: Guess


def _decoded(
    subject: Subject, models: Models, used: ModelUsed, extras: Extras, progress: Progress
) -> _Decoded:
    """Decode what an earlier attempt has not done, by its plan if there is one."""
    request, checkpoint = subject.request, extras.checkpoint
    _check_language(request, used)
    model = (used.name, used.revision, used.engine)
    plan, done = checkpoint.recall(model) or (None, {})
    if plan is None:
        # A caller who reads the text as it is made needs it in time order: lanes would delay it.
        n_lanes = 1 if extras.is_streamed else used.n_lanes
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
    speech = replace(plan.speech, skipped=skipped)
    work = Work(speech, options, used.n_lanes, done, checkpoint, extras.is_streamed)
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


def _language_of(chunks: Sequence[DecodedChunk]) -> Guess | None:
    """The language of most speech, and how probable it was where it began; None without chunks."""
    spoken: dict[str, float] = defaultdict(float)
    sure: dict[str, float] = {}
    for chunk in chunks:
        said = [(s.language or chunk.language or "", s.end - s.start) for s in chunk.segments]
        for language, length_s in said or [(chunk.language or "", 0.0)]:
            spoken[language] += length_s
            sure.setdefault(language, chunk.language_probability)
    most = max(spoken, key=spoken.__getitem__, default=None)
    return None if most is None else Guess(most, sure[most])


def _guess(subject: Subject, used: ModelUsed, models: Models) -> Guess:
    """The language of a recording without speech: the one asked for, or what the model detects."""
    if subject.request.language or not used.is_multilingual:
        return Guess(subject.request.language or "en", 1.0)
    audio = subject.audio
    whole = Span(0, min(audio.n_samples, N_SAMPLES))
    return models.detect_language(used.name, audio, whole)


def _segments_of(chunks: Sequence[DecodedChunk], request: TranscriptionRequest) -> list[Segment]:
    """All segments, with their languages if the request wants them or if there are several."""
    segments = [segment for chunk in chunks for segment in chunk.segments]
    if request.multilingual or len({segment.language for segment in segments}) > 1:
        return segments
    return [segment.model_copy(update={"language": None}) for segment in segments]


def _finished(
    segments: Sequence[Segment], audio: AudioSource, *, has_words: bool
) -> tuple[Segment, ...]:
    """The segments in order, numbered, each with a length; with words only if they are wanted."""
    without = {} if has_words else {"words": None}
    placed = segments_in_order(segments, audio.duration_s)
    return tuple(s.model_copy(update={"id": n, **without}) for n, s in enumerate(placed))


def _carried_out(request: TranscriptionRequest, language: str, used: ModelUsed) -> dict[str, Any]:
    """The options that were chosen, as they were carried out; without recordings of voices."""
    chosen = request.model_dump(
        mode="json", exclude_defaults=True, exclude={"known_speaker_references"}
    )
    return {**chosen, "task": request.task, "language": language, "model": used.name}
