"""RTTM, which programs that evaluate diarization read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from shared.errors import InvalidRequest
from shared.formats.lines import one_line
from shared.formats.options import FormatOptions
from shared.times import milliseconds
from shared.transcript import SpeakerTurn, Transcript

_UNNAMED = "audio"
"""The name of a recording without one."""


def render_rttm(transcript: Transcript, options: FormatOptions, filename: str = "") -> str:
    """
    Who speaks when, a line for each turn, as in NIST's RT-09 evaluation plan, appendix A.

    Args:
        filename: The name of the recording. Lines contain its base name, without the extension.

    Raises:
        InvalidRequest: It is not known who speaks.
    """
    lines, recording = [], _field(PurePosixPath(filename).stem) or _UNNAMED
    for turn in _turns(transcript):
        start, end = milliseconds(turn.start), milliseconds(turn.end)
        if end > start:  # programs refuse a turn of no length
            name = _field(turn.speaker) or "<NA>"
            lines.append(
                f"SPEAKER {recording} 1 {start / 1000:.3f} {(end - start) / 1000:.3f} "
                f"<NA> <NA> {name} <NA> <NA>\n"
            )
    return "".join(lines)


def _field(text: str) -> str:
    r"""
    A text as one field: fields are separated by white space, so a field has none.

    >>> _field(" Board meeting\t3 ")
    'Board_meeting_3'
    """
    return "_".join(one_line(text).split())


def _turns(transcript: Transcript) -> Iterator[SpeakerTurn]:
    if transcript.turns is not None:
        yield from transcript.turns
        return
    if not any(segment.speaker for segment in transcript.segments):
        raise InvalidRequest(
            f"format rttm says who speaks, which is not known of this job; {_why_not(transcript)}",
            param="format",
        )
    for segment in transcript.segments:
        if segment.speaker:
            yield SpeakerTurn(speaker=segment.speaker, start=segment.start, end=segment.end)


def _why_not(transcript: Transcript) -> str:
    """Why speakers are not known, and how to ask for them."""
    failed = [w.message for w in transcript.warnings if w.code == "diarization_failed"]
    if failed:
        return "; ".join(failed)
    if transcript.options.get("diarize"):
        return "it was asked for, and nobody was found"
    return "submit the audio with diarize=true"
