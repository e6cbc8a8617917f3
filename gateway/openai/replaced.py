"""A model that nobody knows, in whose place the default ran: it is said, never silent."""

from __future__ import annotations

from flask import Response

from gateway.openai.fields import OpenAISubmission
from gateway.warned import HEADER
from shared.transcript import Transcript, Warned

CODE = "model_replaced"
_SHOWN_CHARACTERS = 64


def warn_of_replaced(transcript: Transcript, submission: OpenAISubmission) -> Transcript:
    """The transcript, with a warning if another model ran than the one that was asked for."""
    if not submission.replaced:
        return transcript
    asked = submission.replaced[:_SHOWN_CHARACTERS]
    told = f"model {asked!r} is not known here; {transcript.model!r} ran in its place"
    warnings = (*transcript.warnings, Warned(code=CODE, message=told))
    return transcript.model_copy(update={"warnings": warnings})


def name_replaced(answer: Response, submission: OpenAISubmission) -> Response:
    """The answer, saying the same in its header before there is a transcript."""
    if submission.replaced:
        named = [answer.headers[HEADER]] if HEADER in answer.headers else []
        answer.headers[HEADER] = ", ".join([*named, CODE])
    return answer
