"""Routes whose callers wait for the text, whatever they say: OpenAI's and the older systems'."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from flask import Response

from gateway.answering.answers import error_of, read_transcript
from gateway.reading.forms import AudioWriter
from gateway.services import Services
from gateway.submission.submit import Submission, submit
from gateway.waiting.disconnects import Reader, abandon_if_disconnected, note_id_known
from gateway.waiting.postponed import wait_for
from shared.errors import Busy, WaitTimedOut
from shared.records import JobRecord, Status
from shared.transcript import Transcript

_RETRY_S = 5


@dataclass(frozen=True)
class Transcribed:
    """A job that succeeded while its caller waited."""

    record: JobRecord
    submission: Submission
    transcript: Transcript


def transcribe_now(
    here: Services,
    receive: Callable[[AudioWriter], Submission],
    answer: Callable[[Transcribed], Response],
) -> Response:
    """
    Make a job and answer when it has ended, within `LONGHAND_MAX_WAIT_S`.

    Args:
        answer: Makes the answer of a job that succeeded.

    Raises:
        LonghandError: The job could not be made; or, while it is waited for, what `see_through`
            names.
    """
    return see_through(here, *submit(here, receive), answer)


def see_through(
    here: Services,
    record: JobRecord,
    submission: Submission,
    answer: Callable[[Transcribed], Response],
) -> Response:
    """
    Answer when a job has ended.

    Raises:
        WaitTimedOut: It has not, in time; the error names the job, which goes on.
        LonghandError: The job failed, was cancelled or deleted.
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
    Take a slot to hold a thread in, until what is returned is closed.

    Raises:
        Busy: There is none.
    """
    held = ExitStack()
    if not held.enter_context(here.waiting.hold()):
        raise Busy(
            "too many texts are read while they are made at the moment (LONGHAND_WAITING_SLOTS); "
            "try again, or without stream",
            retry_after_s=_RETRY_S,
        )
    return held
