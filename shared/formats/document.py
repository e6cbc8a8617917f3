"""A Word document (docx)."""

from __future__ import annotations

import io
from datetime import datetime
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from shared.formats.cues import prefix_of, speaker_of
from shared.formats.lines import one_line, space_of
from shared.formats.options import FormatOptions
from shared.languages import NAMES
from shared.times import milliseconds
from shared.transcript import Transcript


def render_docx(transcript: Transcript, options: FormatOptions) -> bytes:
    """A document with a paragraph for each segment, with its time and its speaker."""
    from docx import Document  # installed only with the gateway

    document = Document()
    document.add_heading("Transcript", level=0)
    document.add_paragraph(_described(transcript))
    for segment in transcript.segments:
        text = one_line(segment.text, space_of(transcript, segment))
        if not text:
            continue
        paragraph = document.add_paragraph()
        paragraph.add_run(f"[{clock(milliseconds(segment.start))}] ").italic = True
        if speaker := speaker_of(segment, options):
            paragraph.add_run(prefix_of(speaker)).bold = True
        paragraph.add_run(text)
    about = document.core_properties
    about.title, about.author, about.comments = "Transcript", "Longhand", ""
    about.language = transcript.language
    about.created = about.modified = datetime(2026, 1, 1)
    file = io.BytesIO()
    document.save(file)
    return _without_dates(file)


def clock(ms: int) -> str:
    """
    Hours, minutes and whole seconds.

    >>> clock(3_723_999)
    '01:02:03'
    """
    minutes, seconds = divmod(ms // 1000, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


def _described(transcript: Transcript) -> str:
    """Language, length and model of the transcript, in one line."""
    language = NAMES.get(transcript.language, transcript.language).capitalize()
    if transcript.task == "translate":
        language = f"English, translated from {language}"
    length = clock(milliseconds(transcript.duration))
    return one_line(f"{language} · {length} · {transcript.model}")


def _without_dates(file: io.BytesIO) -> bytes:
    """The document without dates: the same transcript must always give the same bytes."""
    written = io.BytesIO()
    with ZipFile(file) as dated, ZipFile(written, "w", ZIP_DEFLATED) as undated:
        for name in dated.namelist():
            undated.writestr(ZipInfo(name), dated.read(name), ZIP_DEFLATED)
    return written.getvalue()
