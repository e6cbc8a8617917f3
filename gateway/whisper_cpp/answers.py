"""Transcripts as whisper.cpp's server writes them."""

from __future__ import annotations

from flask import Response, jsonify
from typing_extensions import TypedDict

from gateway.answering.ignored import name_ignored
from gateway.answering.numbered import speaker_numbers
from gateway.answering.shapes import whisper_cpp as shapes
from gateway.answering.warned import name_warnings
from gateway.waiting.synchronous import Transcribed
from gateway.whisper_cpp.fields import InferenceFields, InferenceSubmission
from shared.formats import FormatOptions, find_format, render, tidy
from shared.languages import NAMES
from shared.transcript import Segment, Transcript, Word


def answer_inference(done: Transcribed[InferenceSubmission]) -> Response:
    """The answer in the format asked for."""
    fields, tidied = done.submission.fields, tidy(done.transcript)
    wanted = fields.response_format
    if wanted == "json":
        answer = jsonify(shapes.InferenceText(text=_lines(tidied)).value())
    elif wanted == "verbose_json":
        answer = jsonify(_verbose(tidied, fields).value())
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
    """A line for each segment, as whisper.cpp prints it, with the speaker if known."""
    numbers = speaker_numbers(tidied)
    return "".join(f"{_spoken_by(segment, numbers)}{segment.text}\n" for segment in tidied.segments)


def _spoken_by(segment: Segment, numbers: dict[str, int]) -> str:
    return f"(speaker {numbers[segment.speaker]})" if segment.speaker else ""


def _verbose(tidied: Transcript, fields: InferenceFields) -> shapes.InferenceVerbose:
    spoken = NAMES.get(tidied.language, tidied.language)
    probability = round(tidied.language_probability, 4)
    tells_language = not fields.no_language_probabilities
    numbers = speaker_numbers(tidied)
    return shapes.InferenceVerbose(
        task=tidied.task,
        language=spoken,
        duration=tidied.duration,
        text=_lines(tidied),
        detected_language=spoken if tells_language else None,
        detected_language_probability=probability if tells_language else None,
        language_probabilities={tidied.language: probability} if tells_language else None,
        segments=[_segment(s, n, numbers, fields) for n, s in enumerate(tidied.segments)],
    )


class _Optional(TypedDict, total=False):
    start: float
    end: float
    speaker: str


def _segment(
    segment: Segment, n: int, numbers: dict[str, int], fields: InferenceFields
) -> shapes.InferenceSegment:
    optional = _Optional()
    if not fields.no_timestamps:
        optional = _Optional(start=segment.start, end=segment.end)
    if segment.speaker:
        optional["speaker"] = str(numbers[segment.speaker])
    has_times = fields.token_timestamps and not fields.no_timestamps
    return shapes.InferenceSegment(
        id=n,
        text=segment.text,
        **optional,
        tokens=list(segment.tokens),
        words=[_word(word, has_times=has_times) for word in segment.words or ()],
        temperature=segment.temperature,
        avg_logprob=segment.avg_logprob,
        no_speech_prob=segment.no_speech_prob,
    )


def _word(word: Word, *, has_times: bool) -> shapes.InferenceWord:
    if not has_times:
        return shapes.InferenceWord(word=word.word, probability=word.probability)
    return shapes.InferenceWord(
        word=word.word, start=word.start, end=word.end, probability=word.probability
    )
