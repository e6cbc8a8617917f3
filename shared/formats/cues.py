"""Cues of subtitles: which text is shown when, and where its lines break."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from shared.formats.lines import one_line, printable, space_of, width_of
from shared.formats.options import FormatOptions
from shared.formats.pieces import Group, Piece, group_pieces, pieces_of
from shared.formats.tidy import has_channels
from shared.times import milliseconds
from shared.transcript import Segment, Transcript

DEFAULT_LINE_WIDTH = 1000
LONG_PAUSE_MS = 3000
"""From the start of one word to the start of the next. Both figures are openai-whisper's."""


@dataclass(frozen=True)
class Cue:
    """
    What is shown at one time.

    Attributes:
        start, end: Milliseconds.
        speaker: None if no speaker is to be named.
        text: Lines, none of them empty. It begins with the speaker if the format needs that.
        underlined: The index of the first character of the highlighted word, and of the one after
            its last.
    """

    start: int
    end: int
    speaker: str | None
    text: str
    underlined: tuple[int, int] | None = None


def speaker_of(segment: Segment, options: FormatOptions) -> str | None:
    """The speaker to be named; None if there is none."""
    return (options.speakers and segment.speaker and one_line(segment.speaker)) or None


def prefix_of(speaker: str | None) -> str:
    """
    What stands before the words of a speaker, in formats without a place for a name.

    >>> prefix_of("SPEAKER_00")
    '[SPEAKER_00]: '
    """
    return f"[{speaker}]: " if speaker else ""


def cues_of(transcript: Transcript, options: FormatOptions, *, has_prefix: bool) -> Iterator[Cue]:
    """
    The cues of a tidy transcript. Without options for lines, there is one for each segment.

    Args:
        has_prefix: Whether the text begins with the speaker's name, which takes room in the line.
    """
    cues = _cues_in_turn(transcript, options, has_prefix)
    # Cues of overlapping segments are made one segment after the other: sort them by start.
    return iter(sorted(cues, key=lambda cue: cue.start)) if has_channels(transcript) else cues


def _cues_in_turn(
    transcript: Transcript, options: FormatOptions, has_prefix: bool
) -> Iterator[Cue]:
    if not options.shapes_lines:
        yield from _whole_segments(transcript, options, has_prefix=has_prefix)
        return
    for speaker, groups in _blocks(transcript, options):
        prefix = prefix_of(speaker) if has_prefix else ""
        for lines in _fill(groups, options, lead=width_of(prefix)):
            text, words = _lay_out(lines, prefix)
            cue = Cue(words[0][1].start, words[-1][1].end, speaker, text)
            yield from _highlight(cue, words) if options.highlight_words else [cue]


def _whole_segments(
    transcript: Transcript, options: FormatOptions, *, has_prefix: bool
) -> Iterator[Cue]:
    for segment in transcript.segments:
        lines = map(str.strip, printable(segment.text).splitlines())
        if text := "\n".join(filter(None, lines)):
            speaker = speaker_of(segment, options)
            start, end = milliseconds(segment.start), milliseconds(segment.end)
            yield Cue(start, end, speaker, prefix_of(has_prefix and speaker or None) + text)


def _blocks(
    transcript: Transcript, options: FormatOptions
) -> Iterator[tuple[str | None, Iterable[Group]]]:
    """
    Blocks of words from which cues are made, with their speaker. No cue spans two blocks.

    A block is a segment. If both a width and a number of lines are set, it is all that a speaker
    says until the next one speaks.
    """
    width = options.max_line_width or DEFAULT_LINE_WIDTH
    runs_on = options.max_line_width is not None and options.max_line_count is not None
    said = ((speaker_of(segment, options), segment) for segment in transcript.segments)
    for speaker, run in groupby(said, key=lambda pair: pair[0]):
        pieces: list[Piece] = []
        for _, segment in run:
            own = pieces_of(segment)
            if pieces and own and not runs_on:
                yield speaker, group_pieces(pieces, width)
                pieces = []
            for n, piece in enumerate(own):
                is_joined = pieces and n == 0
                space = space_of(transcript, segment) if is_joined else piece.before
                pieces.append(replace(piece, before=space))
        if pieces:
            yield speaker, group_pieces(pieces, width)


def _fill(
    groups: Iterable[Group], options: FormatOptions, *, lead: int
) -> Iterator[list[list[Group]]]:
    """
    Lay words out in lines and lines in cues.

    Args:
        lead: Columns of the first line of each cue that the speaker takes. If no word fits beside
            it, the rest of that line stays empty, unless a cue has only one line.
    """
    max_width = options.max_line_width or DEFAULT_LINE_WIDTH
    max_lines = options.max_line_count or math.inf
    cue: list[list[Group]] = []
    used = 0
    for group in groups:
        if cue and _is_apart(cue, group, options):
            yield cue
            cue = []
        if cue and _has_room(cue, group, max_width - used, options):
            cue[-1].append(group)
            used += len(group.before) + group.width
            continue
        if cue and len(cue) >= max_lines:
            yield cue
            cue = []
        is_alone = lead + group.width > max_width and lead > 0 and max_lines > 1
        used = group.width + (0 if cue or is_alone else lead)
        if not cue and is_alone:
            cue.append([])
        cue.append([group])
    if cue:
        yield cue


def _is_apart(cue: Sequence[Sequence[Group]], group: Group, options: FormatOptions) -> bool:
    """Whether a word belongs to the next cue, even if there is room in this one."""
    if options.max_line_count is None:
        return sum(map(len, cue)) >= (options.max_words_per_line or math.inf)
    return options.max_line_width is not None and (group.start - cue[-1][-1].start > LONG_PAUSE_MS)


def _has_room(
    cue: Sequence[Sequence[Group]], group: Group, columns: int, options: FormatOptions
) -> bool:
    """Whether a word fits on the last line, which has so many free columns."""
    n_words = options.max_words_per_line or math.inf
    fits = len(group.before) + group.width <= columns and len(cue[-1]) < n_words
    return fits and group.before != "\n"


def _lay_out(lines: Sequence[Sequence[Group]], prefix: str) -> tuple[str, list[tuple[int, Piece]]]:
    """The text of a cue, and its words with the index at which each begins."""
    text = prefix
    words: list[tuple[int, Piece]] = []
    for n, line in enumerate(lines):
        if n:
            text = text.rstrip() + "\n"
        for place, group in enumerate(line):
            for nth, piece in enumerate(group.pieces):
                text += piece.before if place and not nth else ""
                words.append((len(text), piece))
                text += piece.text
    return text, words


def _highlight(cue: Cue, words: Sequence[tuple[int, Piece]]) -> Iterator[Cue]:
    """Repeat the cue for each word, which is underlined; between two words, none is."""
    shown_until = cue.start
    for place, word in words:
        if shown_until < word.start:
            yield replace(cue, start=shown_until, end=word.start)
        underlined = place, place + len(word.text)
        yield replace(cue, start=word.start, end=word.end, underlined=underlined)
        shown_until = word.end
