"""What every format may rely on: times in order and within the audio, and no space too many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from shared.formats.channels import in_channels
from shared.formats.lines import has_spaces
from shared.times import milliseconds, segments_in_order
from shared.transcript import Segment, SpeakerTurn, Transcript, Word


def tidy(transcript: Transcript) -> Transcript:
    """
    The transcript with times that any reader can use, whatever its models said.

    Every time is a whole number of milliseconds from 0 to the duration. Segments lie one after
    the other, of the same channel where each was transcribed by itself, as do words and characters
    within their segment, and none is of no length. Where words have no spaces, none is left around
    them.
    """
    duration = milliseconds(transcript.duration)
    in_order = in_channels(transcript, lambda said: segments_in_order(said, transcript.duration))
    segments = tuple(
        segment if has_spaces(transcript, segment) else _close_up(segment) for segment in in_order
    )
    turns = transcript.turns and tuple(_turns(transcript.turns, duration))
    changed = {"duration": duration / 1000, "segments": segments, "turns": turns}
    return transcript.model_copy(update=changed)


def _close_up(segment: Segment) -> Segment:
    changed: dict[str, Any] = {"text": segment.text.strip()}
    if segment.words is not None:
        changed["words"] = tuple(_without_spaces(segment.words))
    return segment.model_copy(update=changed)


def _without_spaces(words: Iterable[Word]) -> Iterable[Word]:
    """Take the white space off the words, except between two of a script that has spaces."""
    last = ""
    for word in words:
        core = word.word.strip()
        is_apart = word.word[:1].isspace() and last.isascii() and core[:1].isascii()
        text = f" {core}" if last.isalnum() and core[:1].isalnum() and is_apart else core
        last = core[-1:] or last
        yield word if text == word.word else word.model_copy(update={"word": text})


def _turns(turns: Sequence[SpeakerTurn], duration: int) -> Iterable[SpeakerTurn]:
    """Turns by their start, none of no length; those of different speakers may overlap."""
    for turn in sorted(turns, key=lambda turn: milliseconds(turn.start, duration)):
        start = milliseconds(turn.start, duration)
        end = milliseconds(turn.end, duration)
        if end > start:
            yield turn.model_copy(update={"start": start / 1000, "end": end / 1000})
