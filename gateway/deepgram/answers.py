"""The answer to a client of Deepgram that waited."""

from __future__ import annotations

from flask import Response, jsonify

from gateway.answering.ignored import name_ignored
from gateway.answering.replaced import warn_of_replaced
from gateway.answering.warned import name_warnings
from gateway.deepgram.reading import ListenSubmission
from gateway.deepgram.values import listen_value
from gateway.waiting.synchronous import Transcribed


def answer_listened(done: Transcribed[ListenSubmission]) -> Response:
    """What `/v1/listen` answers."""
    submission = done.submission
    transcript = warn_of_replaced(done.transcript, submission.replaced)
    value = listen_value(done.record, transcript, submission.fields, ignored=submission.ignored)
    answer = name_warnings(jsonify(value), transcript)
    answer.headers["X-Longhand-Model"] = transcript.model
    answer.headers["Location"] = f"/jobs/{done.record.id}"
    name_ignored(answer, submission.ignored)
    return answer
