"""How a stored transcript is rendered when it is read: one function a format, one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.errors import InvalidRequest
from shared.formats.plain import render_text, render_tsv
from shared.formats.structured import render_json, render_verbose_json
from shared.formats.subtitles import render_srt, render_vtt
from shared.transcript import Transcript

__all__ = ["FORMATS", "Format", "find_format", "render"]


@dataclass(frozen=True)
class Format:
    """
    One way to write a transcript.

    Attributes:
        name: What a caller asks for.
        media_type: Of the HTTP answer; what is not JSON names its encoding.
        extension: Of a file that holds it, without the dot.
    """

    name: str
    media_type: str
    extension: str
    render: Callable[[Transcript], str]


FORMATS: Mapping[str, Format] = {
    known.name: known
    for known in (
        Format("json", "application/json", "json", render_json),
        Format("verbose_json", "application/json", "json", render_verbose_json),
        Format("text", "text/plain; charset=utf-8", "txt", render_text),
        Format("srt", "application/x-subrip; charset=utf-8", "srt", render_srt),
        Format("vtt", "text/vtt; charset=utf-8", "vtt", render_vtt),
        Format("tsv", "text/tab-separated-values; charset=utf-8", "tsv", render_tsv),
    )
}


def find_format(name: str) -> Format:
    """
    Return the format of that name.

    Raises:
        InvalidRequest: There is none.
    """
    if name not in FORMATS:
        raise InvalidRequest(
            f"format {name[:64]!r} is not known; it is one of {', '.join(FORMATS)}",
            param="format",
        )
    return FORMATS[name]


def render(transcript: Transcript, format_name: str) -> str:
    """Write a transcript in one of `FORMATS`; see `find_format`."""
    return find_format(format_name).render(transcript)
