"""The formats of a transcript: each is a function, and a line in the table here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.errors import InvalidRequest
from shared.formats.document import render_docx
from shared.formats.options import DEFAULTS
from shared.formats.options import FormatOptions as FormatOptions
from shared.formats.options import read_options as read_options
from shared.formats.plain import render_text, render_tsv
from shared.formats.rttm import render_rttm
from shared.formats.sentences import split_sentences
from shared.formats.structured import render_json, render_verbose_json, render_whisper
from shared.formats.structured import segment_values as segment_values
from shared.formats.structured import speaker_values as speaker_values
from shared.formats.subtitles import render_srt, render_vtt
from shared.formats.tidy import tidy as tidy
from shared.transcript import Transcript

_SEGMENTS = frozenset({"segment_resolution"})
_SPOKEN = _SEGMENTS | {"speakers"}
_CUES = frozenset(FormatOptions.model_fields)
_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Format:
    """
    One way to write a transcript.

    Attributes:
        name: The name by which callers ask for it.
        media_type: The media type of the HTTP answer. Text other than JSON names its encoding.
        extension: The extension of a file that holds it, without the dot.
        options: The fields of `FormatOptions` that change it.
        render: Writes a tidy transcript.
        is_named: Whether `render` also takes the name of the recording.
    """

    name: str
    media_type: str
    extension: str
    options: frozenset[str]
    render: Callable[..., str | bytes]
    is_named: bool = False


_DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
FORMATS: Mapping[str, Format] = {
    known.name: known
    for known in (
        Format("json", "application/json", "json", _NONE, render_json),
        Format("verbose_json", "application/json", "json", _SEGMENTS, render_verbose_json),
        Format("whisper", "application/json", "json", _SEGMENTS, render_whisper),
        Format("text", "text/plain; charset=utf-8", "txt", frozenset({"speakers"}), render_text),
        Format("srt", "application/x-subrip; charset=utf-8", "srt", _CUES, render_srt),
        Format("vtt", "text/vtt; charset=utf-8", "vtt", _CUES, render_vtt),
        Format("tsv", "text/tab-separated-values; charset=utf-8", "tsv", _SPOKEN, render_tsv),
        Format("rttm", "text/plain; charset=utf-8", "rttm", _NONE, render_rttm, is_named=True),
        Format("docx", _DOCX, "docx", _SPOKEN, render_docx),
    )
}


def find_format(name: str) -> Format:
    """
    Return the format of that name.

    Raises:
        InvalidRequest: There is no such format.
    """
    if name not in FORMATS:
        raise InvalidRequest(
            f"format {name[:64]!r} is not known; it is one of {', '.join(FORMATS)}", param="format"
        )
    return FORMATS[name]


def formats_with(option: str) -> list[str]:
    """
    The formats that an option changes.

    >>> formats_with("max_line_width")
    ['srt', 'vtt']
    """
    return [known.name for known in FORMATS.values() if option in known.options]


def refuse_unused(options: FormatOptions, known: Format | None) -> None:
    """
    Refuse options that would change nothing, instead of ignoring them.

    Args:
        options: Options that were set count, even if they were set to their defaults.
        known: None if no format was chosen.

    Raises:
        InvalidRequest: There is one; the message names it, and the formats it is for.
    """
    for option in FormatOptions.model_fields:
        if option in options.model_fields_set and option not in (known.options if known else ()):
            without = (
                f"format {known.name} has no use for" if known else "only a format has use for"
            )
            raise InvalidRequest(
                f"{without} {option}; it is for format={', '.join(formats_with(option))}",
                param=option,
            )


def render(
    transcript: Transcript,
    format_name: str,
    options: FormatOptions = DEFAULTS,
    *,
    filename: str = "",
) -> str | bytes:
    """
    Write a transcript in one of `FORMATS`.

    Args:
        filename: The name of the recording, for formats that contain it.

    Raises:
        InvalidRequest: There is no such format, it does not use an option that was set, or it
            cannot be made from this transcript.
    """
    known = find_format(format_name)
    refuse_unused(options, known)
    tidied = tidy(transcript)
    if options.segment_resolution == "sentence":
        tidied = split_sentences(tidied)
    if known.is_named:
        return known.render(tidied, options, filename)
    return known.render(tidied, options)
