"""Transcripts as OpenAI's routes write them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import cast

from flask import Response, jsonify

from gateway.answering.ignored import name_ignored
from gateway.answering.numbered import ANONYMOUS, letter
from gateway.answering.passages import all_words
from gateway.answering.replaced import warn_of_replaced
from gateway.answering.shapes import openai as shapes
from gateway.answering.shapes.base import TimedSegment
from gateway.answering.warned import name_warnings, warnings_value
from gateway.openai.fields import OpenAISubmission, TranscriptionFields
from gateway.waiting.synchronous import Transcribed
from shared.formats import find_format, render, segment_values, tidy
from shared.languages import NAMES
from shared.records import JobRecord
from shared.transcript import Transcript, Word

NOBODY = "unknown"
"""The speaker of a segment without one: OpenAI's clients need a name."""

_LEAST_PROBABILITY = 1e-10


def answer_transcribed(done: Transcribed[OpenAISubmission]) -> Response:
    """The answer in the format asked for."""
    record, submission, transcript = done.record, done.submission, done.transcript
    transcript = warn_of_replaced(transcript, submission.replaced)
    wanted = submission.fields.response_format
    tidied = tidy(transcript)
    if wanted == "json":
        answer = jsonify(_text(tidied, submission).value())
    elif wanted == "verbose_json":
        answer = jsonify(_verbose(record, tidied, submission).value())
    elif wanted == "diarized_json":
        answer = jsonify(_diarized(tidied).value())
    else:
        answer = Response(render(transcript, wanted), content_type=find_format(wanted).media_type)
    answer.headers["X-Longhand-Model"] = transcript.model
    say_how(answer, record, submission)
    return name_warnings(answer, transcript)


def say_how(answer: Response, record: JobRecord, submission: OpenAISubmission) -> None:
    """Name the job and the ignored fields in headers."""
    answer.headers["Location"] = f"/jobs/{record.id}"
    name_ignored(answer, submission.ignored)


def _text(tidied: Transcript, submission: OpenAISubmission) -> shapes.Text:
    return shapes.Text(
        text=tidied.text.strip(),
        usage=_usage_of_transcription(tidied, submission),
        logprobs=logprobs_of(tidied, submission),
    )


def _verbose(record: JobRecord, tidied: Transcript, submission: OpenAISubmission) -> shapes.Verbose:
    # A translation is written in English, whatever was spoken.
    language = "en" if tidied.task == "translate" else tidied.language
    if submission.fields.language_format == "name":
        language = NAMES.get(language, language)
    words = [_word(word) for word in all_words(tidied)]
    return shapes.Verbose(
        task=tidied.task,
        language=language,
        duration=tidied.duration,
        text=tidied.text.strip(),
        segments=timed_segments(tidied),
        usage=_usage_of_transcription(tidied, submission),
        logprobs=logprobs_of(tidied, submission),
        model=tidied.model,
        words=words if record.request.word_timestamps else None,
        warnings=warnings_value(tidied.warnings) or None,
    )


def timed_segments(tidied: Transcript) -> list[TimedSegment]:
    """Every segment without its words, which the answer lists separately."""
    segments = segment_values(tidied)
    for segment in segments:
        segment.pop("words", None)
    return cast("list[TimedSegment]", segments)


def _diarized(tidied: Transcript) -> shapes.Diarized:
    return shapes.Diarized(
        task=tidied.task,
        duration=tidied.duration,
        text=tidied.text.strip(),
        segments=spoken_segments(tidied),
        usage=shapes.Usage(type="duration", seconds=tidied.duration),
        model=tidied.model,
        warnings=warnings_value(tidied.warnings) or None,
    )


def _usage_of_transcription(
    tidied: Transcript, submission: OpenAISubmission
) -> shapes.Usage | None:
    """The usage, which OpenAI gives for transcriptions but not for translations."""
    if not isinstance(submission.fields, TranscriptionFields):
        return None
    return shapes.Usage(type="duration", seconds=tidied.duration)


def logprobs_of(tidied: Transcript, submission: OpenAISubmission) -> list[shapes.Logprob] | None:
    """The log-probability of every word; None if the caller did not ask for it."""
    return logprobs(all_words(tidied)) if submission.fields.has_logprobs else None


def logprobs(words: Iterable[Word]) -> list[shapes.Logprob]:
    """The log-probability of each word, as OpenAI gives it for each token."""
    return [
        shapes.Logprob(
            token=word.word,
            logprob=round(math.log(max(word.probability, _LEAST_PROBABILITY)), 6) + 0.0,
            bytes=list(word.word.encode()),
        )
        for word in words
    ]


def spoken_segments(tidied: Transcript) -> list[shapes.SpokenSegment]:
    """Who says what, and when. Speakers without a name are `A`, `B` … in order."""
    letters: dict[str, str] = {}
    found = []
    for n, segment in enumerate(tidied.segments):
        who = segment.speaker or NOBODY
        if who.startswith(ANONYMOUS):
            who = letters.setdefault(who, letter(len(letters)))
        found.append(
            shapes.SpokenSegment(
                type="transcript.text.segment",
                id=f"seg_{n}",
                start=segment.start,
                end=segment.end,
                text=segment.text.strip(),
                speaker=who,
            )
        )
    return found


def _word(word: Word) -> shapes.TimedWord:
    timed = shapes.TimedWord(word=word.word.strip(), start=word.start, end=word.end)
    if word.speaker is not None:
        timed["speaker"] = word.speaker
    return timed
