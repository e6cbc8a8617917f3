"""Audio in, transcript out: the stages, top to bottom. It knows neither Redis nor jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.catalogue import MODELS
from shared.errors import InvalidRequest
from shared.languages import WITHOUT_SPACES
from shared.request import TranscriptionRequest
from shared.transcript import Segment, Transcript, Word
from worker.audio import SAMPLE_RATE_HZ, AudioSource
from worker.engines.base import DecodeOptions, Guess
from worker.speech import MAX_CHUNK_S, Span

FRAMES_PER_S = 100

Report = Callable[[str, float, float], None]
"""Takes the stage, the fraction done and the seconds of audio done; raises to stop the work."""


@dataclass(frozen=True)
class ModelUsed:
    """A model that is loaded, and by which engine."""

    name: str
    revision: str
    engine: str
    is_multilingual: bool


@dataclass(frozen=True)
class Speech:
    """Where somebody speaks: chunks ready for a model, and how many seconds of speech in all."""

    chunks: tuple[Span, ...]
    duration_s: float


class Models(Protocol):
    """What the pipeline needs done by models, in this process or in others."""

    def load(self, name: str) -> ModelUsed:
        """Make sure a model of the catalogue is loaded."""
        ...

    def find_speech(
        self, audio: AudioSource, chunk_s: float, report: Callable[[float], None]
    ) -> Speech:
        """Find speech and cut it into chunks of at most `chunk_s` seconds."""
        ...

    def detect_language(self, model: str, audio: AudioSource, chunk: Span) -> Guess:
        """Guess the language of one chunk."""
        ...

    def transcribe(
        self, model: str, audio: AudioSource, chunks: Sequence[Span], options: DecodeOptions
    ) -> Iterator[tuple[int, list[Segment]]]:
        """Yield `(index of the chunk, its segments)` as they come, in any order."""
        ...


def transcribe(
    audio: AudioSource,
    request: TranscriptionRequest,
    models: Models,
    report: Report,
    *,
    model: str,
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
    used = models.load(model)
    speech = models.find_speech(
        audio, MODELS[model].chunk_s, lambda fraction: report("speech", 0.05 * fraction, 0.0)
    )
    guess = _choose_language(request, used, models, audio, speech)
    report("transcribe", 0.05, 0.0)
    options = DecodeOptions(
        language=guess.language,
        task=request.task,
        prompt=request.prompt,
        temperature=request.temperature,
        word_timestamps=request.word_timestamps,
    )
    found = models.transcribe(model, audio, speech.chunks, options)
    segments = _in_order(speech, _reported(found, speech, report), audio.duration_s)
    return Transcript(
        text=join_text(
            [segment.text for segment in segments],
            "en" if request.task == "translate" else guess.language,
        ),
        task=request.task,
        language=guess.language,
        language_probability=round(guess.probability, 4),
        duration=round(audio.duration_s, 3),
        duration_after_vad=round(speech.duration_s, 3),
        segments=tuple(segments),
        model=used.name,
        model_revision=used.revision,
        engine=used.engine,
        options={**request.model_dump(), "language": guess.language, "model": used.name},
    )


def join_text(texts: Iterable[str], language: str) -> str:
    """
    The texts of segments as one text, with spaces where the language has them.

    >>> join_text([" Good morning.", "Thanks."], "en"), join_text(["大家好。", "再见。"], "zh")
    ('Good morning. Thanks.', '大家好。再见。')
    """
    between = "" if language in WITHOUT_SPACES else " "
    return between.join(text.strip() for text in texts)


def _choose_language(
    request: TranscriptionRequest,
    used: ModelUsed,
    models: Models,
    audio: AudioSource,
    speech: Speech,
) -> Guess:
    """The language asked for, or the model's guess from where speech begins."""
    if not used.is_multilingual:
        if request.language not in (None, "en"):
            raise InvalidRequest(
                f"model {used.name!r} knows English only; ask for another model, "
                f"or leave out language {request.language!r}",
                param="language",
            )
        return Guess("en", 1.0)
    if request.language is not None:
        return Guess(request.language, 1.0)
    whole = Span(0, min(audio.n_samples, int(MAX_CHUNK_S * SAMPLE_RATE_HZ)))
    return models.detect_language(used.name, audio, speech.chunks[0] if speech.chunks else whole)


def _reported(
    found: Iterator[tuple[int, list[Segment]]], speech: Speech, report: Report
) -> Iterator[tuple[int, list[Segment]]]:
    total_s = sum(chunk.duration_s for chunk in speech.chunks)
    done_s = 0.0
    for index, segments in found:
        done_s += speech.chunks[index].duration_s
        report("transcribe", 0.05 + 0.95 * done_s / total_s, done_s)
        yield index, segments


def _in_order(
    speech: Speech, found: Iterable[tuple[int, list[Segment]]], duration_s: float
) -> list[Segment]:
    """Segments of all chunks in time order, numbered, on the clock of the whole audio."""
    by_chunk = dict(found)
    segments: list[Segment] = []
    for index, chunk in enumerate(speech.chunks):
        for segment in by_chunk[index]:
            moved = _move(segment, chunk.start / SAMPLE_RATE_HZ, duration_s)
            segments.append(moved.model_copy(update={"id": len(segments)}))
    return segments


def _move(segment: Segment, by_s: float, duration_s: float) -> Segment:
    """Move a segment and its words later by `by_s`; nothing ends after the audio does."""

    def at(time_s: float) -> float:
        return round(min(time_s + by_s, duration_s), 3)

    words: tuple[Word, ...] | None = None
    if segment.words is not None:
        words = tuple(
            word.model_copy(update={"start": at(word.start), "end": at(word.end)})
            for word in segment.words
        )
    return segment.model_copy(
        update={
            "seek": round(by_s * FRAMES_PER_S),
            "start": at(segment.start),
            "end": at(segment.end),
            "words": words,
        }
    )
