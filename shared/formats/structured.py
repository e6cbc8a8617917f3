"""JSON as OpenAI's transcription routes answer it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from shared.transcript import Segment, Transcript, Word


def render_json(transcript: Transcript) -> str:
    """The text and nothing else."""
    return _written({"text": transcript.text.strip()})


def render_verbose_json(transcript: Transcript) -> str:
    """
    Everything Whisper says of each segment, beside the text, language and duration.

    `words`, `speaker` and `warnings` stand there only when there are any.
    """
    words = [word for segment in transcript.segments for word in segment.words or ()]
    value: dict[str, Any] = {
        "task": transcript.task,
        "language": transcript.language,
        "duration": round(transcript.duration, 3),
        "text": transcript.text.strip(),
        "segments": [_segment_value(segment) for segment in transcript.segments],
        "model": transcript.model,
    }
    if words:
        value["words"] = [_timed(word) | {"word": word.word.strip()} for word in words]
    if transcript.warnings:
        value["warnings"] = [warning.model_dump() for warning in transcript.warnings]
    return _written(value)


def _segment_value(segment: Segment) -> dict[str, Any]:
    value = _timed(segment)
    if segment.words is not None:
        value["words"] = [_timed(word) for word in segment.words]
    return value


def _timed(value: Segment | Word) -> dict[str, Any]:
    """The value's fields, its times to the millisecond."""
    fields = value.model_dump(mode="json", exclude_none=True)
    return fields | {"start": round(value.start, 3), "end": round(value.end, 3)}


def _written(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
