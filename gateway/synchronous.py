"""Routes whose callers wait for the text, whatever they say: OpenAI's and the older systems'."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from gateway.answers import error_of, read_transcript
from gateway.hangups import Reader, hand_out, is_gone, let_go
from gateway.services import Services
from gateway.submission import Submission, submit
from gateway.uploads import AudioWriter
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


def transcribe_now(here: Services, receive: Callable[[AudioWriter], Submission]) -> Transcribed:
    """
    Make a job and wait for its end, as long as `LONGHAND_MAX_WAIT_S` allows.

    Raises:
        Busy: Too many requests wait already; no job was made.
        WaitTimedOut: It names the job, which goes on.
        LonghandError: The job could not be made, failed or was cancelled.
    """
    with take_slot(here):
        record, submission = submit(here, receive)
        return see_through(here, record, submission)


def take_slot(here: Services) -> ExitStack:
    """
    Take a slot to wait in, until what is returned is closed.

    Raises:
        Busy: There is none.
    """
    held = ExitStack()
    if not held.enter_context(here.waiting.hold()):
        raise Busy(
            "too many requests wait for their result at the moment (LONGHAND_WAITING_SLOTS); "
            "try again, or use the jobs of /transcribe/file",
            retry_after_s=_RETRY_S,
        )
    return held


def see_through(here: Services, record: JobRecord, submission: Submission) -> Transcribed:
    """
    Wait for a job's end in the slot that is held.

    Raises:
        WaitTimedOut: It names the job, which goes on.
        LonghandError: The job failed or was cancelled.
    """
    seconds, reader = here.settings.max_wait_s, Reader(here, record)
    record = here.waiting.watch(record, seconds, is_gone(), stay=reader.stay)
    if error := error_of(record):
        raise error
    if record.status is not Status.SUCCEEDED:
        if not let_go(here, record, reader):
            hand_out(here, record)
        raise WaitTimedOut(
            f"the job did not end within {seconds:g} s (LONGHAND_MAX_WAIT_S); it goes on, and its "
            f"result will be at /jobs/{record.id}/result",
            job_id=record.id,
        )
    return Transcribed(record, submission, read_transcript(here.jobs, record))
