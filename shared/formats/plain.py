"""Plain text, and a table of segments (tsv)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from shared.formats.cues import prefix_of, speaker_of
from shared.formats.lines import one_line, printable, space_of
from shared.formats.options import FormatOptions
from shared.times import milliseconds
from shared.transcript import Segment, Transcript


def render_text(transcript: Transcript, options: FormatOptions) -> str:
    """
    The text and a line break; nothing if nobody speaks.

    If speakers are known, a new line begins when the speaker changes.
    """
    speakers = [speaker_of(segment, options) for segment in transcript.segments]
    if any(speakers):
        spoken = zip(speakers, transcript.segments, strict=True)
        return "".join(
            f"{prefix_of(speaker)}{text}\n"
            for speaker, run in groupby(spoken, key=lambda pair: pair[0])
            if (text := _joined(transcript, [segment for _, segment in run]))
        )
    text = printable(transcript.text).strip()
    return f"{text}\n" if text else ""


def render_tsv(transcript: Transcript, options: FormatOptions) -> str:
    """A line for each segment, as in openai-whisper: start and end in milliseconds, and text."""
    lines = ["start\tend\ttext"]
    for segment in transcript.segments:
        text = one_line(segment.text, space_of(transcript, segment))
        written = prefix_of(speaker_of(segment, options)) + text if text else ""
        start, end = milliseconds(segment.start), milliseconds(segment.end)
        lines.append(f"{start}\t{end}\t{written}")
    return "\n".join(lines) + "\n"


def _joined(transcript: Transcript, segments: Iterable[Segment]) -> str:
    """The text of segments on one line."""
    text = ""
    for segment in segments:
        space = space_of(transcript, segment)
        said = one_line(segment.text, space)
        text += (space if text else "") + said if said else ""
    return text
