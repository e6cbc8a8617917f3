"""A tidy transcript, on which every format relies: times in order, and no superfluous spaces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from shared.formats.lines import has_spaces
from shared.times import milliseconds, segments_in_order
from shared.transcript import Segment, SpeakerTurn, Transcript, Word


def tidy(transcript: Transcript) -> Transcript:
    """
    The transcript with times that any reader can use.

    Every time is a whole number of milliseconds from 0 to the duration. Segments do not overlap,
    and neither do words and characters within a segment; each has a length. Only segments of
    different channels may overlap, if each channel was transcribed by itself. In languages without
    spaces, there are none around words.
    """
    duration = milliseconds(transcript.duration)
    segments = tuple(
        segment if has_spaces(transcript, segment) else _close_up(segment)
        for segment in _in_order(transcript)
    )
    turns = transcript.turns and tuple(_turns(transcript.turns, duration))
    changed = {"duration": duration / 1000, "segments": segments, "turns": turns}
    return transcript.model_copy(update=changed)


def has_channels(transcript: Transcript) -> bool:
    """Whether each channel was transcribed by itself."""
    return bool(transcript.options.get("multichannel"))


def _in_order(transcript: Transcript) -> list[Segment]:
    """The segments in the order of their starts; those of one channel do not overlap."""
    if not has_channels(transcript):
        return segments_in_order(transcript.segments, transcript.duration)
    channels: dict[str | None, list[Segment]] = {}
    for segment in transcript.segments:
        channels.setdefault(segment.speaker, []).append(segment)
    placed = [segments_in_order(own, transcript.duration) for own in channels.values()]
    return sorted(chain(*placed), key=lambda segment: segment.start)


def _close_up(segment: Segment) -> Segment:
    """A segment of a language without spaces, without spaces around its words."""
    changed: dict[str, Any] = {"text": segment.text.strip()}
    if segment.words is not None:
        changed["words"] = tuple(_without_spaces(segment.words))
    return segment.model_copy(update=changed)


def _without_spaces(words: Iterable[Word]) -> Iterable[Word]:
    """Remove white space around words, except between two words of a script that has spaces."""
    last = ""
    for word in words:
        core = word.word.strip()
        is_apart = word.word[:1].isspace() and last.isascii() and core[:1].isascii()
        text = f" {core}" if last.isalnum() and core[:1].isalnum() and is_apart else core
        last = core[-1:] or last
        yield word if text == word.word else word.model_copy(update={"word": text})


def _turns(turns: Sequence[SpeakerTurn], duration: int) -> Iterable[SpeakerTurn]:
    """Turns that have a length, in the order of their starts. Those of two speakers may overlap."""
    for turn in sorted(turns, key=lambda turn: milliseconds(turn.start, duration)):
        start = milliseconds(turn.start, duration)
        end = milliseconds(turn.end, duration)
        if end > start:
            yield turn.model_copy(update={"start": start / 1000, "end": end / 1000})
