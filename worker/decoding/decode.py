"""The lanes of a recording, decoded side by side: what is asked of the engine, and when."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from shared.catalogue import ModelEntry
from shared.request import TranscriptionRequest
from worker.audio.constants import CHUNK_S
from worker.audio.source import Span
from worker.decoding.checkpoints import LANES_APART, Checkpoint
from worker.decoding.lanes import Done, Lane, LaneOptions
from worker.decoding.looks import shared_s
from worker.decoding.progress import Progress
from worker.engines.base import DecodeOptions, Decoding
from worker.speech.search import Speech

QueuePosition = Literal["last", "next", "first"]
"""
Where in the queue a chunk goes: after the other chunks of its job, before them, or before those of
all jobs and in a batch of its own, since somebody reads along and has nothing yet.
"""


class ChunkQueue(Protocol):
    """Chunks of one job that wait to be decoded, and the decoded ones."""

    def add(
        self, index: int, span: Span, options: DecodeOptions, position: QueuePosition = "last"
    ) -> None:
        """Have a chunk decoded."""
        ...

    def next(self) -> tuple[int, Decoding]:
        """Wait for one of the chunks that were added, whichever is done first."""
        ...

    def close(self) -> None:
        """Give up what was added and is not done."""
        ...


@dataclass(frozen=True)
class Work:
    """
    What there is to decode.

    Attributes:
        n_lanes: So many lanes are decoded at once.
        done: What an earlier attempt did, by number.
        is_read: Whether somebody reads the text, in the order of time, as it is made.
    """

    speech: Speech
    options: LaneOptions
    n_lanes: int
    done: Mapping[int, Done]
    checkpoint: Checkpoint
    is_read: bool = False


def decode_lanes(work: Work, queue: ChunkQueue, progress: Progress) -> dict[int, Done]:
    """Decode what is not done, and keep each chunk as it comes; all of them by number."""
    done = dict(work.done)
    _tell(work.speech, done, progress)
    for index, chunk in _decode(work, queue):
        done[index] = chunk
        work.checkpoint.keep(index, chunk, _jump(index, chunk, len(work.speech.lanes)))
        _tell(work.speech, done, progress)
    return done


def _decode(work: Work, queue: ChunkQueue) -> Iterator[tuple[int, Done]]:
    """Yield each chunk that is done, with its number."""
    waiting = deque(_open_lanes(work))
    active: dict[int, Lane] = {}
    n_done = dict(Counter(index // LANES_APART for index in work.done))
    while waiting or active:
        while waiting and len(active) < work.n_lanes:
            number, lane = waiting.popleft()
            active[number] = lane
            _ask(lane, number, queue, is_first=work.is_read and not n_done)
        number, decoding = queue.next()
        lane = active[number]
        chunk = lane.take(decoding)
        if chunk is not None:
            n = n_done.get(number, 0)
            n_done[number] = n + 1
            yield number * LANES_APART + n, chunk
        if lane.ask is None:
            del active[number]
        else:
            _ask(lane, number, queue, is_first=work.is_read and not n_done)


def _jump(index: int, chunk: Done, n_lanes: int) -> int | None:
    """The number of the chunk that follows in time, where that is the first one of a lane."""
    next_lane = index // LANES_APART + 1
    return next_lane * LANES_APART if chunk.is_last and next_lane < n_lanes else None


def _ask(lane: Lane, number: int, queue: ChunkQueue, *, is_first: bool) -> None:
    assert lane.ask is not None
    position: QueuePosition = "first" if is_first else "next" if lane.ask.is_again else "last"
    queue.add(number, lane.ask.chunk, lane.ask.options, position)


def _open_lanes(work: Work) -> Iterator[tuple[int, Lane]]:
    """The lanes in which something is left, each behind its last chunk that is done."""
    last: dict[int, Done] = {}
    for index, chunk in sorted(work.done.items()):
        last[index // LANES_APART] = chunk
    for number, span in enumerate(work.speech.lanes):
        lane = Lane(span, work.speech, work.options, last.get(number))
        if lane.ask is not None:
            yield number, lane


def _tell(speech: Speech, done: Mapping[int, Done], progress: Progress) -> None:
    """Report how much of the speech is decoded."""
    reached = {i // LANES_APART: chunk.next_start for i, chunk in sorted(done.items())}
    progress.done_s = sum(
        shared_s(speech.spans, Span(speech.lanes[number].start, at))
        for number, at in reached.items()
    )
    progress.of("transcribe")(progress.done_s / (speech.duration_s or 1.0))


def lane_options(
    request: TranscriptionRequest, entry: ModelEntry, *, is_multilingual: bool, can_draw: bool
) -> LaneOptions:
    """
    How a request has its chunks decoded by a model.

    Args:
        can_draw: Whether the engine draws samples: else a higher temperature changes nothing.
    """
    detects_always = request.multilingual and is_multilingual
    language = request.language if is_multilingual else "en"
    has_context = request.condition_on_previous_text
    return LaneOptions(
        decode_options(request, None if detects_always else language),
        chunk_s=min(CHUNK_S, request.chunk_size or entry.chunk_s),
        detects_always=detects_always,
        has_context=entry.knows_context if has_context is None else has_context,
        ends_at_pauses=not entry.knows_context,
        drops_unheard=request.vad,
        looks_twice=request.temperature_increment != 0,
        temperatures=tuple(temperatures(request)[1:]) if can_draw else (),
    )


def decode_options(request: TranscriptionRequest, language: str | None) -> DecodeOptions:
    """What of a request concerns a single chunk."""
    fields = set(DecodeOptions.__dataclass_fields__) - {"language", "context", "word_timestamps"}
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
    return [round(first + n * step, 4) for n in range(n_steps + 1)] if step else [first]
