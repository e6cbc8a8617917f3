"""RTTM, in which programs that measure diarization read who speaks when."""

from __future__ import annotations

from collections.abc import Iterator

from shared.errors import InvalidRequest
from shared.formats.lines import one_line
from shared.formats.options import FormatOptions
from shared.times import milliseconds
from shared.transcript import SpeakerTurn, Transcript

RECORDING = "audio"
"""What every line calls the recording."""


def render_rttm(transcript: Transcript, options: FormatOptions) -> str:
    """
    Who speaks when, as NIST's RTTM: a line per turn, without the text.

    Raises:
        InvalidRequest: It is not known who speaks.
    """
    lines = []
    for turn in _turns(transcript):
        start, end = milliseconds(turn.start), milliseconds(turn.end)
        if end > start:  # a turn of no length is an error to those who read it
            name = "_".join(one_line(turn.speaker).split()) or "<NA>"
            lines.append(
                f"SPEAKER {RECORDING} 1 {start / 1000:.3f} {(end - start) / 1000:.3f} "
                f"<NA> <NA> {name} <NA> <NA>\n"
            )
    return "".join(lines)


def _turns(transcript: Transcript) -> Iterator[SpeakerTurn]:
    if transcript.turns is not None:
        yield from transcript.turns
        return
    if not any(segment.speaker for segment in transcript.segments):
        raise InvalidRequest(
            "format rttm says who speaks, which is not known of this job; "
            "submit the audio with diarize=true",
            param="format",
        )
    for segment in transcript.segments:
        if segment.speaker:
            yield SpeakerTurn(speaker=segment.speaker, start=segment.start, end=segment.end)
