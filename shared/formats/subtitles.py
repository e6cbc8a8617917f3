"""Subtitles: SubRip and WebVTT."""

from __future__ import annotations

import re
from collections.abc import Callable

from shared.formats.cues import Cue, cues_of
from shared.formats.options import FormatOptions
from shared.transcript import Transcript

_ARROW = re.compile("-{2,}>")
_LIKE_A_CUE = re.compile(r"^(-?\d+\.?\d*)\n(?=\d+[,.:，．。：]\d+[,.:，．。：]\d)", re.MULTILINE)
"""A line with a number, above one with a time or date: players take them for the next cue."""

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def render_srt(transcript: Transcript, options: FormatOptions) -> str:
    """
    SubRip. It has no escapes, so an arrow within the text is shortened.

    A segment without text has no cue.
    """
    cues = enumerate(cues_of(transcript, options, has_prefix=True), 1)
    return "".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n"
        f"{_unlike_a_cue(_marked(cue, str))}\n\n"
        for number, cue in cues
    )


def render_vtt(transcript: Transcript, options: FormatOptions) -> str:
    """WebVTT, with `&`, `<` and `>` escaped; only the header if nobody speaks."""
    return "WEBVTT\n\n" + "".join(
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_voiced(cue)}\n\n"
        for cue in cues_of(transcript, options, has_prefix=False)
    )


def _unlike_a_cue(text: str) -> str:
    return _LIKE_A_CUE.sub(r"\1 ", _ARROW.sub("->", text))


def _voiced(cue: Cue) -> str:
    text = _marked(cue, _escaped)
    return f"<v {_escaped(cue.speaker)}>{text}</v>" if cue.speaker else text


def _marked(cue: Cue, written: Callable[[str], str]) -> str:
    """The text, with the highlighted word underlined."""
    if cue.underlined is None:
        return written(cue.text)
    start, end = cue.underlined
    before, word, after = cue.text[:start], cue.text[start:end], cue.text[end:]
    return f"{written(before)}<u>{written(word)}</u>{written(after)}"


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)


def _clock(ms: int, point: str) -> str:
    """
    Hours, minutes, seconds and milliseconds.

    >>> _clock(3_723_004, ",")
    '01:02:03,004'
    """
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{ms:03}"
