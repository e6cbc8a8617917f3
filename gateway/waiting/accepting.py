"""How the native routes answer a caller who made a job: with its id, or with its result."""

from __future__ import annotations

from flask import Response, jsonify, request

from gateway.answering.answers import (
    answer_accepted,
    error_of,
    read_transcript,
    transcript_shown,
    wants_segments,
)
from gateway.answering.shapes.jobs import TranscriptAnswer
from gateway.answering.warned import name_warnings
from gateway.services import Services
from gateway.waiting.disconnects import Reader, abandon_if_disconnected, note_id_known
from gateway.waiting.postponed import wait_for
from gateway.waiting.slots import preferred_wait_s
from shared.records import JobRecord, Status


def answer_submitted(here: Services, record: JobRecord, wait_s: float | None) -> Response:
    """
    The result if the caller waits and the job ends in time; else 202.

    Args:
        wait_s: What the request's `wait` said; None if it was not sent.
    """
    seconds, preferred = wait_of(here, wait_s)
    reader = Reader(here, record)

    def answer_then(seen: JobRecord) -> Response:
        if seconds <= 0 or not abandon_if_disconnected(here, seen, reader):
            note_id_known(here, seen)
        # A new job may have a result already. A caller who does not wait still gets 202.
        answer = _answer_ended(here, seen) if seconds > 0 else answer_accepted(seen)
        if preferred and seconds > 0:
            answer.headers["Preference-Applied"] = f"wait={seconds:g}"
        return answer

    return wait_for(here, record, answer_then, seconds=seconds, reader=reader)


def wait_of(
    here: Services, asked_s: float | None, *, default_s: float | None = None
) -> tuple[float, bool]:
    """
    How long a caller waits in seconds, and whether their `Prefer` header said so.

    Args:
        asked_s: What the request's `wait` said; None if it was not sent.
        default_s: How long if neither says anything; None for the site's setting.
    """
    is_preferred = False
    if asked_s is None:
        asked_s = preferred_wait_s(request.headers.get("Prefer"))
        is_preferred = asked_s is not None
    if asked_s is None:
        asked_s = here.settings.default_wait_s if default_s is None else default_s
    return min(asked_s, here.settings.max_wait_s), is_preferred


def _answer_ended(here: Services, record: JobRecord) -> Response:
    if error := error_of(record):
        raise error
    if record.status is not Status.SUCCEEDED:
        return answer_accepted(record)
    transcript = read_transcript(here.jobs, record)
    has_segments = wants_segments(record)
    shown = transcript_shown(TranscriptAnswer, record, transcript, has_segments=has_segments)
    answer = jsonify(shown.value())
    answer.headers["Location"] = f"/jobs/{record.id}"
    return name_warnings(answer, transcript)
