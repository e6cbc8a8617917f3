"""Subtitles: a numbered or bare cue per segment, with times to the millisecond."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shared.transcript import Transcript

_ARROW = re.compile("-{2,}>")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def render_srt(transcript: Transcript) -> str:
    """
    SubRip cues; nothing can be escaped, so an arrow within the text loses a stroke.

    A segment without text gets no cue.
    """
    return "".join(
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{_ARROW.sub('->', text)}\n\n"
        for number, (start, end, text) in enumerate(_cues(transcript), 1)
    )


def render_vtt(transcript: Transcript) -> str:
    """WebVTT, with `&`, `<` and `>` escaped; the header alone when nobody spoke."""
    return "WEBVTT\n\n" + "".join(
        f"{_clock(start, '.')} --> {_clock(end, '.')}\n{text.translate(_ESCAPES)}\n\n"
        for start, end, text in _cues(transcript)
    )


def _cues(transcript: Transcript) -> Iterator[tuple[int, int, str]]:
    """Start and end in milliseconds, and the text without the blank lines that end a cue."""
    for segment in transcript.segments:
        text = "\n".join(filter(None, map(str.strip, segment.text.splitlines())))
        if text:
            start = round(segment.start * 1000)
            yield start, max(start, round(segment.end * 1000)), text


def _clock(ms: int, point: str) -> str:
    """
    Hours, minutes, seconds and milliseconds; the hours always stand there.

    >>> _clock(3_723_004, ",")
    '01:02:03,004'
    """
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{ms:03}"
