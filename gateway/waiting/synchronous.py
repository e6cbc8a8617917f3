"""Answers of routes whose callers always wait for the text: OpenAI's, the older systems' …"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Generic, TypeVar

from flask import Response

from gateway.answering.answers import error_of, read_transcript
from gateway.services import Services
from gateway.waiting.disconnects import Reader, abandon_if_disconnected, note_id_known
from gateway.waiting.postponed import wait_for
from shared.errors import Busy, WaitTimedOut
from shared.records import JobRecord, Status
from shared.transcript import Transcript

_RETRY_S = 5

Asked = TypeVar("Asked")


@dataclass(frozen=True)
class Transcribed(Generic[Asked]):
    """
    A job that succeeded while its caller waited.

    Attributes:
        submission: What the caller asked, as their route reads it.
    """

    record: JobRecord
    submission: Asked
    transcript: Transcript


def answer_when_done(
    here: Services,
    record: JobRecord,
    submission: Asked,
    answer: Callable[[Transcribed[Asked]], Response],
) -> Response:
    """
    Answer when a job has ended, within `LONGHAND_MAX_WAIT_S`.

    Args:
        submission: What the caller asked, for `answer`.
        answer: Makes the answer of a job that succeeded. It is called later, on another thread.

    Raises:
        WaitTimedOut: The job has not ended in time; the error names it, and it goes on.
        LonghandError: The job failed, was cancelled or was deleted.
    """
    reader = Reader(here, record)

    def answer_then(seen: JobRecord) -> Response:
        if error := error_of(seen):
            raise error
        if seen.status is not Status.SUCCEEDED:
            if not abandon_if_disconnected(here, seen, reader):
                note_id_known(here, seen)
            raise _not_ended(here, seen)
        return answer(Transcribed(seen, submission, read_transcript(here.jobs, seen)))

    seconds = here.settings.max_wait_s
    return wait_for(here, record, answer_then, seconds=seconds, reader=reader)


def _not_ended(here: Services, record: JobRecord) -> WaitTimedOut:
    limit = f"within {here.settings.max_wait_s:g} s (LONGHAND_MAX_WAIT_S)"
    when = "before the gateway was stopped" if here.waiting.is_stopped else limit
    return WaitTimedOut(
        f"the job did not end {when}; it goes on, and its result will be at "
        f"/jobs/{record.id}/result",
        job_id=record.id,
    )


def take_slot(here: Services) -> ExitStack:
    """
    Take a slot for a request that holds its thread.

    Returns:
        An object that gives the slot back when it is closed.

    Raises:
        Busy: No slot is free.
    """
    held = ExitStack()
    if not held.enter_context(here.waiting.hold()):
        raise Busy(
            "too many texts are read while they are made at the moment (LONGHAND_WAITING_SLOTS); "
            "try again, or without stream",
            retry_after_s=_RETRY_S,
        )
    return held
