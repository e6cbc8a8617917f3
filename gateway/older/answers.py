"""Transcripts as the older systems wrote them."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from flask import Response, jsonify

from gateway.answering.answers import transcript_value
from gateway.answering.ignored import name_ignored
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


def whole_value(record: JobRecord, transcript: Transcript) -> dict[str, Any]:
    """A result with segments, each with `speaker` where it was asked who speaks: it is indexed."""
    value = transcript_value(record, transcript, has_segments=True)
    if record.request.names_speakers:
        value["segments"] = [{"speaker": None, **segment} for segment in value["segments"]]
    return value


def answer_whole(done: Transcribed[DialectSubmission[OlderFields]]) -> Response:
    """What `/transcribe` answers."""
    return finished(jsonify(whole_value(done.record, done.transcript)), done)


def answer_recognised(done: Transcribed[DialectSubmission[RecogniseFields]]) -> Response:
    """What `/recognise` answers: the object of Whisper's own Python, and once more by its name."""
    fields = done.submission.fields
    whisper = json.loads(render(done.transcript, "whisper"))
    if fields.detail == "text":
        whisper = {"text": whisper["text"]}
    value = {"success": True, "job_id": done.record.id, **whisper}
    if fields.envelope:
        value["transcription"] = whisper
    return finished(jsonify(value), done)


def answer_asr(done: Transcribed[DialectSubmission[AsrFields]]) -> Response:
    """What `/asr` answers: a file of the kind that was asked for."""
    fields = done.submission.fields
    if fields.output == "json":
        answer = jsonify(whole_value(done.record, done.transcript))
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
    value = {
        "success": True,
        "job_id": done.record.id,
        "detected_language": NAMES.get(spoken, spoken),
        "language_code": spoken,
        "confidence": round(done.transcript.language_probability, 4),
    }
    return finished(jsonify(value), done)


def finished(answer: Response, done: Transcribed[DialectSubmission[Own]]) -> Response:
    """The answer, naming its job and what was passed over."""
    answer.headers["Location"] = f"/jobs/{done.record.id}"
    name_ignored(answer, done.submission.ignored)
    return name_warnings(answer, done.transcript)
