"""Speech and other sound for which there is no text: callers are warned, with the times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from shared.transcript import Segment, TimeSpan, Warned
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import Span
from worker.decoding.fallback import text_fills_s
from worker.speech.detection import Speech
from worker.speech.sounds import merged

SPEECH_WITHOUT_TEXT = "speech_without_text"

LONGEST_S = 1.0
"""Shorter spans are not reported: a cough, a neighbour's word, or times that are a little off."""

_DIP_S = 0.5
"""Spans that are no further apart are reported as one."""

_SPARSE_S = 1.5
"""A segment with so much more speech than its text fills has the text of only a part of it."""

_MOST_NAMED, _MOST_SPANS = 5, 100
"""How many spans the message names, and how many the warning lists."""


def speech_without_text_warnings(speech: Speech, segments: Sequence[Segment]) -> list[Warned]:
    """One warning that names all spans with more than a second of sound and no text, or none."""
    found = find_speech_without_text(speech, segments)
    if not found:
        return []
    spans = tuple(
        TimeSpan(start=round(s.start / SAMPLE_RATE_HZ, 3), end=round(s.end / SAMPLE_RATE_HZ, 3))
        for s in found
    )
    named = ", ".join(f"{_clock(s.start)}-{_clock(s.end)}" for s in spans[:_MOST_NAMED])
    more = f" and {len(spans) - _MOST_NAMED} more" if len(spans) > _MOST_NAMED else ""
    seconds = sum(span.duration_s for span in found)
    places = "one place" if len(spans) == 1 else f"{len(spans)} places"
    message = f"speech or other sound without text, {seconds:.1f} s in {places}: {named}{more}"
    return [Warned(code=SPEECH_WITHOUT_TEXT, message=message, spans=spans[:_MOST_SPANS])]


def find_speech_without_text(speech: Speech, segments: Sequence[Segment]) -> list[Span]:
    """
    Spans of sound without text, in time order.

    They are longer than a second. If there is no text at all, they are of any length.
    """
    sounds = sorted([*speech.voiced, *speech.sounds])
    left = merged(list(_without(sounds, _with_text(speech, segments))), _DIP_S)
    return [span for span in left if span.duration_s > LONGEST_S or not segments]


def _with_text(speech: Speech, segments: Iterable[Segment]) -> Iterator[Span]:
    """Spans that have text; of a segment with too little text, only its beginning."""
    for segment in segments:
        start, end = (round(at * SAMPLE_RATE_HZ) for at in (segment.start, segment.end))
        fills_s = text_fills_s(segment, speech.voiced)
        said_s = 0.0
        for voice in speech.voiced:
            since, until = max(voice.start, start), min(voice.end, end)
            if since >= until:
                continue
            over_s = said_s + (until - since) / SAMPLE_RATE_HZ - fills_s
            if over_s > _SPARSE_S:
                end = until - round(over_s * SAMPLE_RATE_HZ)
                break
            said_s += (until - since) / SAMPLE_RATE_HZ
        yield Span(start, max(start, end))


def _without(spans: Sequence[Span], others: Iterable[Span]) -> Iterator[Span]:
    """The parts of spans that lie in none of the others, in time order."""
    covered = merged(sorted(others), 0.0)
    for span in merged(spans, 0.0):
        start = span.start
        for other in covered:
            if other.end <= start or other.start >= span.end:
                continue
            if other.start > start:
                yield Span(start, other.start)
            start = max(start, other.end)
        if start < span.end:
            yield Span(start, span.end)


def _clock(at_s: float) -> str:
    """
    Minutes and seconds, after hours if there are any.

    >>> _clock(62.34), _clock(3723.0)
    ('1:02.3', '1:02:03.0')
    """
    tenths = round(at_s * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{tenths // 10:02}.{tenths % 10}"
    return f"{hours}:{minutes:02}:{seconds}" if hours else f"{minutes}:{seconds}"
