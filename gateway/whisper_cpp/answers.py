"""Transcripts as whisper.cpp's server writes them."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify

from gateway.answering.ignored import name_ignored
from gateway.answering.numbered import speaker_numbers
from gateway.answering.warned import name_warnings
from gateway.waiting.synchronous import Transcribed
from gateway.whisper_cpp.fields import InferenceFields, InferenceSubmission
from shared.formats import FormatOptions, find_format, render, tidy
from shared.languages import NAMES
from shared.transcript import Segment, Transcript


def answer_inference(done: Transcribed[InferenceSubmission]) -> Response:
    """The answer in the format asked for."""
    fields, tidied = done.submission.fields, tidy(done.transcript)
    wanted = fields.response_format
    if wanted == "json":
        answer = jsonify(text=_lines(tidied))
    elif wanted == "verbose_json":
        answer = jsonify(_verbose_value(tidied, fields))
    elif wanted == "text":
        answer = Response(_lines(tidied), content_type=find_format("text").media_type)
    else:
        options = FormatOptions(max_line_width=fields.max_len or None)
        if fields.max_len:
            options = options.model_copy(update={"max_line_count": 1})
        written = render(done.transcript, wanted, options)
        answer = Response(written, content_type=find_format(wanted).media_type)
    answer.headers["Location"] = f"/jobs/{done.record.id}"
    name_ignored(answer, done.submission.ignored)
    return name_warnings(answer, done.transcript)


def _lines(tidied: Transcript) -> str:
    """A line for each segment, as whisper.cpp prints them, with who speaks where that is known."""
    numbers = speaker_numbers(tidied)
    return "".join(f"{_spoken_by(segment, numbers)}{segment.text}\n" for segment in tidied.segments)


def _spoken_by(segment: Segment, numbers: dict[str, int]) -> str:
    return f"(speaker {numbers[segment.speaker]})" if segment.speaker else ""


def _verbose_value(tidied: Transcript, fields: InferenceFields) -> dict[str, Any]:
    spoken = tidied.language
    value = {
        "task": tidied.task,
        "language": NAMES.get(spoken, spoken),
        "duration": tidied.duration,
        "text": _lines(tidied),
    }
    if not fields.no_language_probabilities:
        probability = round(tidied.language_probability, 4)
        value |= {
            "detected_language": NAMES.get(spoken, spoken),
            "detected_language_probability": probability,
            "language_probabilities": {spoken: probability},
        }
    numbers = speaker_numbers(tidied)
    value["segments"] = [_segment_value(s, n, numbers, fields) for n, s in _numbered(tidied)]
    return value


def _numbered(tidied: Transcript) -> list[tuple[int, Segment]]:
    return list(enumerate(tidied.segments))


def _segment_value(
    segment: Segment, n: int, numbers: dict[str, int], fields: InferenceFields
) -> dict[str, Any]:
    value: dict[str, Any] = {"id": n, "text": segment.text}
    if not fields.no_timestamps:
        value |= {"start": segment.start, "end": segment.end}
    if segment.speaker:
        value["speaker"] = str(numbers[segment.speaker])
    value["tokens"] = list(segment.tokens)
    has_times = fields.token_timestamps and not fields.no_timestamps
    value["words"] = [
        {
            "word": word.word,
            **({"start": word.start, "end": word.end} if has_times else {}),
            "probability": word.probability,
        }
        for word in segment.words or ()
    ]
    value |= {
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "no_speech_prob": segment.no_speech_prob,
    }
    return value
