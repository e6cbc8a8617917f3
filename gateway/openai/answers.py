"""Transcripts as OpenAI's routes write them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from flask import Response, jsonify

from gateway.answering.ignored import name_ignored
from gateway.answering.numbered import ANONYMOUS, letter
from gateway.answering.replaced import warn_of_replaced
from gateway.answering.warned import name_warnings, warnings_value
from gateway.openai.fields import OpenAISubmission, TranscriptionFields
from gateway.waiting.synchronous import Transcribed
from shared.formats import find_format, render, segment_values, tidy
from shared.languages import NAMES
from shared.records import JobRecord
from shared.transcript import Segment, Transcript, Word

NOBODY = "unknown"
"""The speaker of a segment where none was found: OpenAI's clients want a name."""

_LEAST_PROBABILITY = 1e-10


def answer_transcribed(done: Transcribed[OpenAISubmission]) -> Response:
    """The answer in the format asked for."""
    record, submission, transcript = done.record, done.submission, done.transcript
    transcript = warn_of_replaced(transcript, submission.replaced)
    wanted = submission.fields.response_format
    tidied = tidy(transcript)
    if wanted == "json":
        answer = jsonify(_text_value(tidied, submission))
    elif wanted == "verbose_json":
        answer = jsonify(_verbose_value(record, tidied, submission))
    elif wanted == "diarized_json":
        answer = jsonify(_diarized_value(tidied))
    else:
        answer = Response(render(transcript, wanted), content_type=find_format(wanted).media_type)
    answer.headers["X-Longhand-Model"] = transcript.model
    say_how(answer, record, submission)
    return name_warnings(answer, transcript)


def say_how(answer: Response, record: JobRecord, submission: OpenAISubmission) -> None:
    """Say in headers which job it was and what was passed over."""
    answer.headers["Location"] = f"/jobs/{record.id}"
    name_ignored(answer, submission.ignored)


def _text_value(tidied: Transcript, submission: OpenAISubmission) -> dict[str, Any]:
    return {"text": tidied.text.strip(), **_beside(tidied, submission)}


def _verbose_value(
    record: JobRecord, tidied: Transcript, submission: OpenAISubmission
) -> dict[str, Any]:
    # A translation's language is the one it is written in.
    language = "en" if tidied.task == "translate" else tidied.language
    if submission.fields.language_format == "name":
        language = NAMES.get(language, language)
    value = {
        "task": tidied.task,
        "language": language,
        "duration": tidied.duration,
        "text": tidied.text.strip(),
        "segments": timed_segments(tidied),
        **_beside(tidied, submission),
        "model": tidied.model,
    }
    if record.request.word_timestamps:
        value["words"] = [_word_value(word) for word in words_of(tidied.segments)]
    if tidied.warnings:
        value["warnings"] = warnings_value(tidied.warnings)
    return value


def timed_segments(tidied: Transcript) -> list[dict[str, Any]]:
    """All that Whisper says of each segment; words stand elsewhere."""
    segments = segment_values(tidied)
    for segment in segments:
        segment.pop("words", None)
    return segments


def _diarized_value(tidied: Transcript) -> dict[str, Any]:
    value = {
        "task": tidied.task,
        "duration": tidied.duration,
        "text": tidied.text.strip(),
        "segments": spoken_segments(tidied),
        "usage": _usage(tidied),
        "model": tidied.model,
    }
    if tidied.warnings:
        value["warnings"] = warnings_value(tidied.warnings)
    return value


def _beside(tidied: Transcript, submission: OpenAISubmission) -> dict[str, Any]:
    """What OpenAI says beside the text of a transcription, and not of a translation."""
    value: dict[str, Any] = {}
    if isinstance(submission.fields, TranscriptionFields):
        value["usage"] = _usage(tidied)
    if submission.fields.has_logprobs:
        value["logprobs"] = logprobs(words_of(tidied.segments))
    return value


def _usage(transcript: Transcript) -> dict[str, Any]:
    return {"type": "duration", "seconds": transcript.duration}


def words_of(segments: Iterable[Segment]) -> list[Word]:
    """Every word, in order."""
    return [word for segment in segments for word in segment.words or ()]


def logprobs(words: Iterable[Word]) -> list[dict[str, Any]]:
    """How sure the model is of each word, as OpenAI says it of each token."""
    return [
        {
            "token": word.word,
            "logprob": round(math.log(max(word.probability, _LEAST_PROBABILITY)), 6) + 0.0,
            "bytes": list(word.word.encode()),
        }
        for word in words
    ]


def spoken_segments(tidied: Transcript) -> list[dict[str, Any]]:
    """Who says what, and when; speakers without a name are `A`, `B` … as they come."""
    letters: dict[str, str] = {}
    found = []
    for n, segment in enumerate(tidied.segments):
        who = segment.speaker or NOBODY
        if who.startswith(ANONYMOUS):
            who = letters.setdefault(who, letter(len(letters)))
        found.append(
            {
                "type": "transcript.text.segment",
                "id": f"seg_{n}",
                "start": segment.start,
                "end": segment.end,
                "text": segment.text.strip(),
                "speaker": who,
            }
        )
    return found


def _word_value(word: Word) -> dict[str, Any]:
    value: dict[str, Any] = {"word": word.word.strip(), "start": word.start, "end": word.end}
    if word.speaker is not None:
        value["speaker"] = word.speaker
    return value
