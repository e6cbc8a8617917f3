"""Text without markup: the whole text, or a table of segments."""

from __future__ import annotations

from shared.languages import WITHOUT_SPACES
from shared.transcript import Transcript


def render_text(transcript: Transcript) -> str:
    """The whole text and a line break; nothing at all when nobody spoke."""
    text = transcript.text.strip()
    return f"{text}\n" if text else ""


def render_tsv(transcript: Transcript) -> str:
    """A line per segment as Whisper writes it: start and end in whole milliseconds, text."""
    lines = ["start\tend\ttext"]
    for segment in transcript.segments:
        start = round(segment.start * 1000)
        end = max(start, round(segment.end * 1000))
        lines.append(f"{start}\t{end}\t{one_line(segment.text, transcript.language)}")
    return "\n".join(lines) + "\n"


def one_line(text: str, language: str) -> str:
    r"""
    Join what tabs and line breaks set apart, with a space where the language has them.

    >>> one_line(" so\tit\nis", "en"), one_line("你\n好", "zh")
    ('so it is', '你好')
    """
    parts = [part.strip() for line in text.splitlines() for part in line.split("\t")]
    return ("" if language in WITHOUT_SPACES else " ").join(filter(None, parts))
