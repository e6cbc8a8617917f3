"""Says so when an unknown model was asked for and the default ran in its place."""

from __future__ import annotations

from flask import Response

from gateway.answering.warned import HEADER
from shared.transcript import Transcript, Warned

CODE = "model_replaced"
_SHOWN_CHARACTERS = 64


def warn_of_replaced(transcript: Transcript, asked: str) -> Transcript:
    """
    The transcript, with a warning if another model ran than was asked for.

    Args:
        asked: The unknown model; "" if the model asked for ran.
    """
    if not asked:
        return transcript
    shown = asked[:_SHOWN_CHARACTERS]
    message = f"model {shown!r} is not known here; {transcript.model!r} ran in its place"
    warnings = (*transcript.warnings, Warned(code=CODE, message=message))
    return transcript.model_copy(update={"warnings": warnings})


def name_replaced(answer: Response, asked: str) -> Response:
    """
    The answer, with the same warning in a header, before there is a transcript.

    Args:
        asked: The unknown model; "" if the model asked for ran.
    """
    if asked:
        named = [answer.headers[HEADER]] if HEADER in answer.headers else []
        answer.headers[HEADER] = ", ".join([*named, CODE])
    return answer
