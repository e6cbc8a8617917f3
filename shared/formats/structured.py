"""JSON as in OpenAI's transcription routes, and as the program `whisper` writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from shared.formats.options import FormatOptions
from shared.transcript import Character, Segment, SpeakerTurn, Transcript, Word

_WHISPERS_SEGMENT = (
    "id", "seek", "start", "end", "text", "tokens", "temperature", "avg_logprob",
    "compression_ratio", "no_speech_prob",
)  # fmt: skip
_WHISPERS_WORD = ("word", "start", "end", "probability")


def render_json(transcript: Transcript, options: FormatOptions) -> str:
    """The text only."""
    return _written({"text": transcript.text.strip()})


def render_verbose_json(transcript: Transcript, options: FormatOptions) -> str:
    """
    Text, language, duration, and all fields of each segment.

    `words`, `chars`, `turns`, `speaker_embeddings` and `warnings` are written only if there are
    any. `speaker` is in every segment if the request asked who speaks, else in none.
    """
    words = [word for segment in transcript.segments for word in segment.words or ()]
    value: dict[str, Any] = {
        "task": transcript.task,
        "language": transcript.language,
        "duration": round(transcript.duration, 3),
        "text": transcript.text.strip(),
        "segments": segment_values(transcript),
        "model": transcript.model,
    }
    if words:
        value["words"] = [_timed(word) | {"word": word.word.strip()} for word in words]
    value |= speaker_values(transcript)
    if transcript.warnings:
        value["warnings"] = [warning.model_dump() for warning in transcript.warnings]
    return _written(value)


def render_whisper(transcript: Transcript, options: FormatOptions) -> str:
    """The same keys as in openai-whisper's results, for programs that read those."""
    segments = []
    for segment in transcript.segments:
        value = _timed(segment)
        kept = {name: value[name] for name in _WHISPERS_SEGMENT}
        if segment.words is not None:
            words = map(_timed, segment.words)
            kept["words"] = [{name: word[name] for name in _WHISPERS_WORD} for word in words]
        segments.append(kept)
    return _written(
        {"text": transcript.text, "segments": segments, "language": transcript.language}
    )


def segment_values(transcript: Transcript) -> list[dict[str, Any]]:
    """
    Every segment with all of its fields.

    If the request asked who speaks, every segment has `speaker`, which may be None: callers read
    it without a check.
    """
    who_was_asked = transcript.turns is not None
    return [segment_value(segment, who_was_asked=who_was_asked) for segment in transcript.segments]


def speaker_values(transcript: Transcript) -> dict[str, Any]:
    """Turns of speakers and embeddings of their voices; empty if they are not known."""
    value: dict[str, Any] = {}
    if transcript.turns:
        value["turns"] = [_timed(turn) for turn in transcript.turns]
    if transcript.speaker_embeddings:
        embeddings = transcript.speaker_embeddings.items()
        value["speaker_embeddings"] = {name: list(vector) for name, vector in embeddings}
    return value


def segment_value(segment: Segment, *, who_was_asked: bool = False) -> dict[str, Any]:
    """A segment with all of its fields; always with `speaker` if the request asked who speaks."""
    value = _timed(segment)
    if segment.words is not None:
        value["words"] = [_timed(word) for word in segment.words]
    value.pop("chars", None)
    if segment.chars:
        value["chars"] = [_timed(char) for char in segment.chars]
    return {"speaker": None, **value} if who_was_asked else value


def _timed(value: Segment | Word | Character | SpeakerTurn) -> dict[str, Any]:
    """The fields of a value, with times rounded to milliseconds."""
    fields = value.model_dump(mode="json", exclude_none=True)
    return fields | {"start": round(value.start, 3), "end": round(value.end, 3)}


def _written(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
