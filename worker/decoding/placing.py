"""When a segment is said: times of the whole recording, beginning and ending where a voice does."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Sequence
from itertools import islice
from statistics import median

from shared.times import in_order
from shared.transcript import Segment, Word
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import Span

FRAMES_PER_S = 100

_EARLIER_S = 0.5
"""A segment that begins up to so much after a voice does begins with it."""

_SHORTEST_S = 0.1

_SHORTEST_WORD_S = 0.02
"""One step of Whisper's clock."""

_USUAL_WORD_S, _LONG_WORD_S = 0.4, 0.8
"""The median of a segment's words counts up to this; a word may last twice as long, or so much."""

_NEAR_S = 1.0


def place_segments(
    segments: Sequence[Segment], chunk: Span, voiced: Sequence[Span]
) -> tuple[Segment, ...]:
    """
    Give segments of a chunk the times of the whole recording.

    Whisper tells times to about half a second, and begins a segment within the pause before it.
    Where a voice is heard is known more exactly. The first word of a chunk begins with the chunk
    for Whisper: no word begins or ends in a pause, if a voice is heard within it. A segment
    begins and ends with its words, where it has any. Of two segments that meet, the first ends
    where its voice does.

    Args:
        segments: With times from the chunk's start.
        voiced: Where a voice is heard in the recording, in time order.
    """
    start_s = chunk.start / SAMPLE_RATE_HZ
    end_s = chunk.end / SAMPLE_RATE_HZ
    spans = [
        (round(span.start / SAMPLE_RATE_HZ, 3), round(span.end / SAMPLE_RATE_HZ, 3))
        for span in voiced
        if span.end > chunk.start and span.start < chunk.end
    ]
    moved = [_move(segment, start_s, end_s) for segment in segments]
    placed: list[Segment] = []
    before = start_s
    for segment, following in zip(moved, [*moved, None][1:], strict=True):
        if segment.words:
            placed.append(_with_words(segment, spans))
        elif segment.words is None:
            next_start = following.start if following else math.inf
            placed.append(_by_voice(segment, before, next_start, end_s, spans))
        else:
            placed.append(segment)
        before = placed[-1].end
    return tuple(_each_for_a_moment(placed, chunk))


def _by_voice(
    segment: Segment,
    before: float,
    next_start: float,
    latest: float,
    spans: Sequence[tuple[float, float]],
) -> Segment:
    """A segment without words, within its voice; none begins before the last one's end."""
    start = _begin(segment.start, segment.end, before, spans)
    # Where two segments meet, a voice that begins just before is the next one's.
    meets = next_start - segment.end < _EARLIER_S
    end = _end(start, segment.end, spans, next_from=segment.end - _EARLIER_S if meets else None)
    # Whisper may begin and end a text at one time, mostly at the chunk's end.
    end = max(end, min(start + _SHORTEST_S, latest))
    start = min(start, max(before, round(end - _SHORTEST_S, 3)))
    return segment.model_copy(update={"start": start, "end": round(end, 3)})


def _with_words(segment: Segment, spans: Sequence[tuple[float, float]]) -> Segment:
    """A segment with words, each without the pause before the voice in it, and the one after."""
    words = [_voiced(word, spans) for word in segment.words or ()]
    words = _without_edges(words, segment, {time for span in spans for time in span})
    times = {"start": words[0].start, "end": words[-1].end}
    return segment.model_copy(update={"words": tuple(words), **times})


def _each_for_a_moment(segments: Sequence[Segment], chunk: Span) -> Iterator[Segment]:
    """The segments with words that last a step of Whisper's clock, at least."""
    words = [word for segment in segments for word in segment.words or ()]
    within = [round(at * 1000 / SAMPLE_RATE_HZ) for at in chunk]
    least = [round(_SHORTEST_WORD_S * 1000)] * len(words)
    left = iter(in_order(words, within[0], within[1], least))
    for segment in segments:
        if segment.words:
            own = tuple(islice(left, len(segment.words)))
            times = {"start": own[0].start, "end": own[-1].end}
            yield segment.model_copy(update={"words": own, **times})
        else:
            yield segment


def _without_edges(words: list[Word], segment: Segment, exact: Container[float]) -> list[Word]:
    """
    The words, without what is too long of the first and the last one.

    A model gives the first word the pause before it, and the last one the pause after. Where no
    voice tells better, since there is noise in the pause, or music, the times that the model told
    of the segment are nearer, or else what a long word takes.

    Args:
        exact: Times at which a voice is known to begin or end.
    """
    usual = min(median(word.end - word.start for word in words), _USUAL_WORD_S)
    most = max(2 * usual, _LONG_WORD_S)
    first = words[0]
    if first.end - first.start > most and first.start not in exact:
        start = max(first.end - most, min(segment.start, first.end - usual))
        words[0] = first.model_copy(update={"start": round(start, 3)})
    last = words[-1]
    if last.end - last.start > most and last.end not in exact:
        end = min(last.start + most, max(segment.end, last.start + usual))
        words[-1] = last.model_copy(update={"end": round(end, 3)})
    return words


def is_heard(segment: Segment, voiced: Sequence[Span]) -> bool:
    """Whether a voice is heard near a segment: text in silence is what nobody said."""
    start = (segment.start - _NEAR_S) * SAMPLE_RATE_HZ
    end = (segment.end + _NEAR_S) * SAMPLE_RATE_HZ
    return any(span.start < end and span.end > start for span in voiced)


def _voiced(word: Word, spans: Sequence[tuple[float, float]]) -> Word:
    """A word without the pause before the voice in it, and the one after."""
    start = _begin(word.start, word.end, math.inf, spans, least_s=_SHORTEST_WORD_S)
    return word.model_copy(update={"start": start, "end": _end(start, word.end, spans)})


def _begin(
    start: float,
    end: float,
    before: float,
    spans: Sequence[tuple[float, float]],
    least_s: float = _SHORTEST_S,
) -> float:
    """Where the voice begins that a segment tells of; its own start where none does."""
    for voice_start, voice_end in spans:
        if voice_end <= start + 0.05:
            continue
        is_later = start < voice_start < end - least_s
        is_earlier = before <= voice_start <= start <= voice_start + _EARLIER_S
        return round(voice_start, 3) if is_later or is_earlier else start
    return start


def _end(
    start: float,
    end: float,
    spans: Sequence[tuple[float, float]],
    next_from: float | None = None,
) -> float:
    """
    Where the voice ends that a segment tells of; its own end where none does.

    Args:
        next_from: A voice that begins from here on is not this segment's.
    """
    for voice_start, voice_end in reversed(spans):
        if voice_start >= end or (next_from is not None and voice_start >= max(next_from, start)):
            continue
        return round(voice_end, 3) if start + _SHORTEST_S < voice_end < end else end
    return end


def _move(segment: Segment, by_s: float, end_s: float) -> Segment:
    """Move a segment and its words later by `by_s`; nothing ends after `end_s`."""

    def at(time_s: float) -> float:
        return round(min(time_s + by_s, end_s), 3)

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
