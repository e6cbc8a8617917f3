"""A walk through a lane, for tests of where it goes and what it asks."""

from __future__ import annotations

from collections.abc import Callable

from decodings import decoding, seconds, segment

from worker.decoding.lanes import DecodedChunk, Lane, PendingChunk
from worker.decoding.options import LaneOptions
from worker.engines.base import DecodeOptions, Decoding
from worker.speech.detection import Speech

OPTIONS = LaneOptions(DecodeOptions("en"))
ALL_SPEECH = Speech((seconds(0, 100),), (seconds(0, 100),), (seconds(0, 100),))
SURE = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"


def say(
    call: PendingChunk, told_s: float | None = None, text: str = "w", **fields: object
) -> Decoding:
    """Two words a second that no other chunk holds, up to some second of the chunk."""
    end = min(call.chunk.duration_s, call.chunk.duration_s if told_s is None else told_s)
    words = " ".join(f"{text}{call.chunk.start}.{n}" for n in range(round(2 * end)))
    return decoding(segment(words, 0.0, end), **{"heard_s": end, **fields})


def walk(
    answer: Callable[[PendingChunk], Decoding],
    speech: Speech = ALL_SPEECH,
    options: LaneOptions = OPTIONS,
    last: DecodedChunk | None = None,
) -> tuple[list[PendingChunk], list[DecodedChunk]]:
    """Decode a lane to its end; what was asked for, and the chunks that were done."""
    lane = Lane(speech.lanes[0], speech, options, last)
    asked: list[PendingChunk] = []
    done: list[DecodedChunk] = []
    while lane.pending is not None:
        asked.append(lane.pending)
        chunk = lane.take(answer(lane.pending))
        done += [chunk] if chunk else []
    return asked, done


def spoken(*times: tuple[float, float], lane_s: float = 100) -> Speech:
    spans = tuple(seconds(*pair) for pair in times)
    return Speech((seconds(0, lane_s),), spans, spans)
