"""Which chunk is decoded when, and how often: other temperatures, and text told to the next one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from shared.languages import WITHOUT_SPACES
from shared.request import TranscriptionRequest
from shared.transcript import Segment, Word
from worker.audio import SAMPLE_RATE_HZ, AudioSource, Span
from worker.checkpoints import Checkpoint
from worker.engines.base import DecodeOptions, Decoding
from worker.progress import Progress
from worker.streams import Turn

FRAMES_PER_S = 100
_PROMPT_CHARACTERS = 1_000
"""Of earlier text told to the model, which reads 223 tokens and forgets what is before them."""

_RESET_ABOVE = 0.5
"""A text drawn at a higher temperature is not told to the chunk after it."""


class ChunkStream(Protocol):
    """Where the chunks of one job are decoded, some at a time."""

    def add(self, index: int, span: Span, options: DecodeOptions, turn: Turn = "last") -> None:
        """Have a chunk decoded."""
        ...

    def next(self) -> tuple[int, Decoding]:
        """Wait for one of the chunks that were added, whichever is done first."""
        ...

    def close(self) -> None:
        """Give up what was added and is not done."""
        ...


@dataclass(frozen=True)
class Chunks:
    """
    The chunks of a job.

    Attributes:
        done: What an earlier attempt made of them, by index, with times of the whole audio.
        checkpoint: Where those are kept that are done from now on.
        are_read: Whether somebody reads them, in the order of time, as they are done.
    """

    audio: AudioSource
    spans: tuple[Span, ...]
    done: Mapping[int, Decoding]
    checkpoint: Checkpoint
    are_read: bool = False


def finish_chunks(
    chunks: Chunks,
    request: TranscriptionRequest,
    language: str | None,
    stream: ChunkStream,
    progress: Progress,
) -> dict[int, Decoding]:
    """Decode what is not done, and keep it as it comes, with times of the whole audio."""
    spans, done = chunks.spans, dict(chunks.done)
    report = progress.of("transcribe")
    total_s = sum(span.duration_s for span in spans) or 1.0
    progress.done_s = sum(spans[index].duration_s for index in done)
    report(progress.done_s / total_s)
    decoded = decode_chunks(spans, request, language, stream, chunks.done, are_read=chunks.are_read)
    for index, decoding in decoded:
        start_s = spans[index].start / SAMPLE_RATE_HZ
        moved = tuple(_move(s, start_s, chunks.audio.duration_s) for s in decoding.segments)
        done[index] = replace(decoding, segments=moved)
        chunks.checkpoint.keep(index, done[index])
        progress.done_s += spans[index].duration_s
        report(progress.done_s / total_s)
    return done


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


def decode_options(request: TranscriptionRequest, language: str | None) -> DecodeOptions:
    """What of a request concerns a single chunk."""
    fields = set(DecodeOptions.__dataclass_fields__) - {"language", "word_timestamps"}
    options = DecodeOptions(language, **{name: getattr(request, name) for name in fields})
    # Words say, too, who speaks them and how long it is silent around a segment.
    needs_words = (
        request.wants_words
        or request.diarize
        or request.hallucination_silence_threshold is not None
    )
    return replace(options, word_timestamps=needs_words)


def temperatures(request: TranscriptionRequest) -> list[float]:
    """
    The temperatures a chunk is tried at, in order.

    >>> temperatures(TranscriptionRequest(temperature=0.4, temperature_increment=0.2))
    [0.4, 0.6, 0.8, 1.0]
    """
    first, step = request.temperature, request.temperature_increment
    n_steps = int((1.0 - first) / step + 1e-6) if step else 0
    return [round(first + n * step, 4) for n in range(n_steps + 1)]


def decode_chunks(
    chunks: Sequence[Span],
    request: TranscriptionRequest,
    language: str | None,
    stream: ChunkStream,
    done: Mapping[int, Decoding],
    *,
    are_read: bool = False,
) -> Iterator[tuple[int, Decoding]]:
    """
    Decode the chunks of a job that are not done.

    All of them wait to be decoded at once, in any order; but one after the other where each
    is told the text of the one before.

    Args:
        done: What an earlier attempt at the job decoded.
        are_read: Whether somebody reads them, in the order of time, as they are done: then the
            first is decoded before all others, everybody's, and one that is tried again before
            the rest.

    Yields:
        The index of a chunk and what was made of it, as they come.
    """
    options = decode_options(request, language)
    left = [index for index in range(len(chunks)) if index not in done]
    if not request.condition_on_previous_text:
        asked = replace(options, temperature=request.temperature)
        if are_read and left:
            # The others wait until it is done: or they would run between two of its tries.
            stream.add(left[0], chunks[left[0]], asked, "first")
            yield from _finish(1, chunks, options, request, stream, "first")
            left = left[1:]
        for index in left:
            stream.add(index, chunks[index], asked)
        yield from _finish(
            len(left), chunks, options, request, stream, "next" if are_read else "last"
        )
        return
    told = [request.prompt] if request.prompt else []
    for index, chunk in enumerate(chunks):
        if index in done:
            _tell(told, done[index])
            continue
        written = "en" if request.task == "translate" else options.language
        asked = replace(options, prompt=_joined(told, written))
        turn: Turn = "first" if are_read and index == left[0] else "last"
        stream.add(index, chunk, asked, turn)
        for _, decoding in _finish(1, chunks, asked, request, stream, turn):
            yield index, decoding
            _tell(told, decoding)


def _finish(
    n_chunks: int,
    chunks: Sequence[Span],
    options: DecodeOptions,
    request: TranscriptionRequest,
    stream: ChunkStream,
    again: Turn,
) -> Iterator[tuple[int, Decoding]]:
    """
    Wait for so many chunks; one that is doubtful is tried again at the next temperature.

    Args:
        again: When one that is tried again has its turn.
    """
    steps = temperatures(request)
    tried: dict[int, int] = {}
    while n_chunks:
        index, decoding = stream.next()
        n_tries = tried[index] = tried.get(index, 0) + 1
        if decoding.is_doubtful and n_tries < len(steps):
            asked = replace(options, temperature=steps[n_tries])
            stream.add(index, chunks[index], asked, again)
            continue
        n_chunks -= 1
        yield index, decoding


def _tell(told: list[str], decoding: Decoding) -> None:
    segments = decoding.segments
    if any(segment.temperature > _RESET_ABOVE for segment in segments):
        told.clear()
        return
    told.extend(segment.text.strip() for segment in segments)


def _joined(told: Sequence[str], language: str | None) -> str | None:
    text = ("" if language in WITHOUT_SPACES else " ").join(told)
    return text[-_PROMPT_CHARACTERS:] or None
