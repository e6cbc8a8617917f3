"""The times of segments and words in the recording, corrected by where speech begins and ends."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Sequence
from itertools import islice
from statistics import median

from shared.times import in_order
from shared.transcript import Segment, Word
from worker.audio.constants import FRAMES_PER_SECOND, SAMPLE_RATE_HZ
from worker.audio.source import Span

_EARLIER_S = 0.5
"""If speech begins at most this long before a segment, the segment begins with it: Whisper's times
are off by up to half a second."""

_SHORTEST_S = 0.1

_SHORTEST_WORD_S = 0.02
"""The distance between two of Whisper's timestamps."""

_USUAL_WORD_S, _LONG_WORD_S = 0.4, 0.8
"""A word may last 0.8 s. A usual word lasts as long as the median of its segment, at most 0.4 s."""

_NEAR_S = 1.0
"""Text with no speech within this distance is dropped."""

_Spans = Sequence[tuple[float, float]]
"""Speech in the recording, start and end in seconds, in time order."""


def place_segments(
    segments: Sequence[Segment], chunk: Span, voiced: Sequence[Span]
) -> tuple[Segment, ...]:
    """
    Give the segments of a chunk their times in the recording.

    Whisper's times are rough. It begins a segment within the pause before it, and the first word
    of a chunk with the chunk. The VAD knows better where speech begins and ends. So:

    - no word begins or ends in a pause if there is speech within it;
    - a segment with words begins and ends with them;
    - a segment without words begins and ends with speech;
    - where two segments meet, the first ends where its own speech does.

    Args:
        segments: With times from the chunk's start.
        voiced: Speech in the recording, in time order.
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
            placed.append(_place_with_words(segment, spans))
        elif segment.words is None:
            next_start = following.start if following else math.inf
            placed.append(_place_without_words(segment, before, next_start, end_s, spans))
        else:
            placed.append(segment)
        before = placed[-1].end
    return tuple(_give_words_length(placed, chunk))


def is_near_voice(segment: Segment, voiced: Sequence[Span]) -> bool:
    """Whether there is speech near a segment: Whisper may write text in silence."""
    start = (segment.start - _NEAR_S) * SAMPLE_RATE_HZ
    end = (segment.end + _NEAR_S) * SAMPLE_RATE_HZ
    return any(span.start < end and span.end > start for span in voiced)


def _move(segment: Segment, by_s: float, end_s: float) -> Segment:
    """Move a segment and its words later by `by_s`; nothing ends after `end_s`."""

    def times(timed: Segment | Word) -> dict[str, float]:
        return {
            "start": round(min(timed.start + by_s, end_s), 3),
            "end": round(min(timed.end + by_s, end_s), 3),
        }

    words = segment.words and tuple(word.model_copy(update=times(word)) for word in segment.words)
    seek = round(by_s * FRAMES_PER_SECOND)
    return segment.model_copy(update={"seek": seek, "words": words, **times(segment)})


def _place_without_words(
    segment: Segment, before: float, next_start: float, latest: float, spans: _Spans
) -> Segment:
    """
    Begin and end a segment with speech.

    Args:
        before, next_start: When the segment before ends and the next one begins.
        latest: When the chunk ends.
    """
    start = _start_of_speech(segment.start, segment.end, before, spans)
    # Where two segments meet, speech that begins just before belongs to the next one.
    meets = next_start - segment.end < _EARLIER_S
    next_from = segment.end - _EARLIER_S if meets else None
    end = _end_of_speech(start, segment.end, spans, next_from=next_from)
    # Whisper may begin and end a text at the same time, mostly at the chunk's end.
    end = max(end, min(start + _SHORTEST_S, latest))
    start = min(start, max(before, round(end - _SHORTEST_S, 3)))
    return segment.model_copy(update={"start": start, "end": round(end, 3)})


def _place_with_words(segment: Segment, spans: _Spans) -> Segment:
    """Remove the pauses around speech from words; the segment begins and ends with them."""
    words = []
    for word in segment.words or ():
        start = _start_of_speech(word.start, word.end, math.inf, spans, least_s=_SHORTEST_WORD_S)
        end = _end_of_speech(start, word.end, spans)
        words.append(word.model_copy(update={"start": start, "end": end}))
    words = _shorten_edges(words, segment, {time for span in spans for time in span})
    return _with_words(segment, words)


def _with_words(segment: Segment, words: Sequence[Word]) -> Segment:
    times = {"start": words[0].start, "end": words[-1].end}
    return segment.model_copy(update={"words": tuple(words), **times})


def _give_words_length(segments: Sequence[Segment], chunk: Span) -> Iterator[Segment]:
    """The segments, with words that are not shorter than two timestamps are apart."""
    words = [word for segment in segments for word in segment.words or ()]
    within = [round(at * 1000 / SAMPLE_RATE_HZ) for at in chunk]
    least = [round(_SHORTEST_WORD_S * 1000)] * len(words)
    left = iter(in_order(words, within[0], within[1], least))
    for segment in segments:
        own = tuple(islice(left, len(segment.words or ())))
        yield _with_words(segment, own) if own else segment


def _shorten_edges(words: list[Word], segment: Segment, exact: Container[float]) -> list[Word]:
    """
    Shorten the first and the last word if they are too long.

    A model adds the pause before a segment to its first word, and the pause after it to its last.
    The VAD finds no such pause if it holds noise or music. Then the segment's own times, or those
    of a long word, are nearer to the truth.

    Args:
        exact: Times at which speech is known to begin or end.
    """
    usual = min(median(word.end - word.start for word in words), _USUAL_WORD_S)
    first = words[0]
    if first.end - first.start > _LONG_WORD_S and first.start not in exact:
        start = max(first.end - _LONG_WORD_S, min(segment.start, first.end - usual))
        words[0] = first.model_copy(update={"start": round(start, 3)})
    last = words[-1]
    if last.end - last.start > _LONG_WORD_S and last.end not in exact:
        end = min(last.start + _LONG_WORD_S, max(segment.end, last.start + usual))
        words[-1] = last.model_copy(update={"end": round(end, 3)})
    return words


def _start_of_speech(
    start: float, end: float, before: float, spans: _Spans, least_s: float = _SHORTEST_S
) -> float:
    """
    When the speech of a segment or word begins; its own start if no speech is near.

    Args:
        before: It does not begin earlier than this.
    """
    for voice_start, voice_end in spans:
        if voice_end <= start + 0.05:
            continue
        is_later = start < voice_start < end - least_s
        is_earlier = before <= voice_start <= start <= voice_start + _EARLIER_S
        return round(voice_start, 3) if is_later or is_earlier else start
    return start


def _end_of_speech(
    start: float, end: float, spans: _Spans, next_from: float | None = None
) -> float:
    """
    When the speech of a segment or word ends; its own end if no speech ends within it.

    Args:
        next_from: Speech that begins from here on belongs to the next segment.
    """
    for voice_start, voice_end in reversed(spans):
        if voice_start >= end or (next_from is not None and voice_start >= max(next_from, start)):
            continue
        return round(voice_end, 3) if start + _SHORTEST_S < voice_end < end else end
    return end
