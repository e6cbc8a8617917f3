"""The lanes of a recording, decoded side by side: which chunk the engine gets, and when."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from worker.audio.source import Span
from worker.decoding.checkpoints import LANES_APART, Checkpoint
from worker.decoding.fallback import overlap_s
from worker.decoding.lanes import DecodedChunk, Lane
from worker.decoding.options import LaneOptions
from worker.decoding.progress import Progress
from worker.engines.base import DecodeOptions, Decoding
from worker.speech.detection import Speech

QueuePosition = Literal["last", "next", "first"]
"""
Where in the queue a chunk goes: after the other chunks of its job, before them, or before those of
all jobs and in a batch of its own. `first` is for a caller who reads the text as it is made, and
has none yet.
"""


class ChunkQueue(Protocol):
    """Chunks of one job that wait to be decoded, and the decoded ones."""

    def add(
        self, index: int, span: Span, options: DecodeOptions, position: QueuePosition = "last"
    ) -> None:
        """Ask for a chunk to be decoded."""
        ...

    def next(self) -> tuple[int, Decoding]:
        """Wait for one of the chunks that were added, whichever is done first."""
        ...

    def close(self) -> None:
        """Drop the chunks that were added and are not done."""
        ...


@dataclass(frozen=True)
class Work:
    """
    What there is to decode.

    Attributes:
        n_lanes: How many lanes are decoded at once.
        done: Chunks that an earlier attempt did, by number.
        is_streamed: Whether the caller reads the text as it is made, in the order of time.
    """

    speech: Speech
    options: LaneOptions
    n_lanes: int
    done: Mapping[int, DecodedChunk]
    checkpoint: Checkpoint
    is_streamed: bool = False


def decode_lanes(work: Work, queue: ChunkQueue, progress: Progress) -> dict[int, DecodedChunk]:
    """Decode what is not done and keep each chunk as it comes; returns all chunks by number."""
    done = dict(work.done)
    _report(work.speech, done, progress)
    for index, chunk in _decode(work, queue):
        done[index] = chunk
        work.checkpoint.keep(index, chunk, _next_index(index, chunk, len(work.speech.lanes)))
        _report(work.speech, done, progress)
    return done


def _decode(work: Work, queue: ChunkQueue) -> Iterator[tuple[int, DecodedChunk]]:
    """Yield each chunk that is done, with its number."""
    waiting = deque(_open_lanes(work))
    active: dict[int, Lane] = {}
    n_done = Counter(index // LANES_APART for index in work.done)

    def add(number: int) -> None:
        pending = active[number].pending
        assert pending is not None
        is_first = work.is_streamed and not n_done
        position: QueuePosition = "first" if is_first else "next" if pending.is_fallback else "last"
        queue.add(number, pending.chunk, pending.options, position)

    while waiting or active:
        while waiting and len(active) < work.n_lanes:
            number, lane = waiting.popleft()
            active[number] = lane
            add(number)
        number, decoding = queue.next()
        chunk = active[number].take(decoding)
        if chunk is not None:
            n = n_done[number]
            n_done[number] += 1
            yield number * LANES_APART + n, chunk
        if active[number].pending is None:
            del active[number]
        else:
            add(number)


def _next_index(index: int, chunk: DecodedChunk, n_lanes: int) -> int | None:
    """The number of the chunk that follows in time, if that is the first one of the next lane."""
    next_lane = index // LANES_APART + 1
    return next_lane * LANES_APART if chunk.is_last and next_lane < n_lanes else None


def _open_lanes(work: Work) -> Iterator[tuple[int, Lane]]:
    """The lanes that are not done; each continues after its last chunk that is done."""
    last = {index // LANES_APART: chunk for index, chunk in sorted(work.done.items())}
    for number, span in enumerate(work.speech.lanes):
        lane = Lane(span, work.speech, work.options, last.get(number))
        if lane.pending is not None:
            yield number, lane


def _report(speech: Speech, done: Mapping[int, DecodedChunk], progress: Progress) -> None:
    """Report how much of the speech is decoded."""
    reached = {i // LANES_APART: chunk.next_start for i, chunk in sorted(done.items())}
    progress.done_s = sum(
        overlap_s(speech.spans, Span(speech.lanes[number].start, at))
        for number, at in reached.items()
    )
    progress.of("transcribe")(progress.done_s / (speech.duration_s or 1.0))
