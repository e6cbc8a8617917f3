"""Transcripts as the older systems wrote them."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import cast
from urllib.parse import quote

from flask import Response, jsonify

from gateway.answering.answers import transcript_shown
from gateway.answering.ignored import name_ignored
from gateway.answering.shapes import older as shapes
from gateway.answering.warned import name_warnings
from gateway.older.fields import (
    ASR_FORMATS,
    AsrFields,
    DetectFields,
    OlderFields,
    Own,
    RecogniseFields,
)
from gateway.submission.options import DialectSubmission
from gateway.waiting.synchronous import Transcribed
from shared.formats import find_format, render, tidy
from shared.languages import NAMES
from shared.records import JobRecord
from shared.transcript import Transcript


def whole_shown(record: JobRecord, transcript: Transcript) -> shapes.OlderTranscript:
    """A result with its segments; each has `speaker` if the caller asked who speaks."""
    shown = transcript_shown(shapes.OlderTranscript, record, transcript, has_segments=True)
    if record.request.names_speakers:
        # Callers index it unchecked. `cast`: mypy cannot join a dict to a TypedDict.
        found = [{"speaker": None, **segment} for segment in shown.segments]
        shown.segments = cast("list[shapes.OlderSegment]", found)
    return shown


def answer_whole(done: Transcribed[DialectSubmission[OlderFields]]) -> Response:
    """What `/transcribe` answers."""
    return finished(jsonify(whole_shown(done.record, done.transcript).value()), done)


def answer_recognised(done: Transcribed[DialectSubmission[RecogniseFields]]) -> Response:
    """What `/recognise` answers: openai-whisper's result, twice if `envelope` asks."""
    fields = done.submission.fields
    rendered = json.loads(render(done.transcript, "whisper"))
    whisper = {"text": rendered["text"]} if fields.detail == "text" else rendered
    value = shapes.Recognised(
        success=True,
        job_id=done.record.id,
        **whisper,
        transcription=shapes.WhispersResult(**whisper) if fields.envelope else None,
    ).value()
    return finished(jsonify(value), done)


def answer_asr(done: Transcribed[DialectSubmission[AsrFields]]) -> Response:
    """What `/asr` answers: a file of the kind that was asked for."""
    fields = done.submission.fields
    if fields.output == "json":
        answer = jsonify(whole_shown(done.record, done.transcript).value())
    else:
        wanted = find_format(ASR_FORMATS[fields.output])
        answer = Response(render(done.transcript, wanted.name), content_type=wanted.media_type)
    stem = PurePosixPath(done.record.audio.filename).stem or "transcript"
    name = quote(f"{stem}.{fields.output}", safe="")
    answer.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{name}"  # RFC 8187
    answer.headers["Asr-Engine"] = done.transcript.engine
    return finished(answer, done)


def answer_language(done: Transcribed[DialectSubmission[DetectFields]]) -> Response:
    """What `/detect-language` answers."""
    spoken = tidy(done.transcript).language
    found = shapes.DetectedLanguage(
        success=True,
        job_id=done.record.id,
        detected_language=NAMES.get(spoken, spoken),
        language_code=spoken,
        confidence=round(done.transcript.language_probability, 4),
    )
    return finished(jsonify(found.value()), done)


def finished(answer: Response, done: Transcribed[DialectSubmission[Own]]) -> Response:
    """The answer, with headers for its job and for ignored fields."""
    answer.headers["Location"] = f"/jobs/{done.record.id}"
    name_ignored(answer, done.submission.ignored)
    return name_warnings(answer, done.transcript)
