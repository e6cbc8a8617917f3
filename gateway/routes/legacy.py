"""Routes of the systems that Longhand replaces; most callers wait for the text."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from pydantic import BaseModel

from gateway.access.auth import present_owner
from gateway.answering.answers import answer_accepted, job_shown, read_transcript
from gateway.answering.ignored import name_ignored
from gateway.answering.shapes import older as shapes
from gateway.answering.warned import DOCUMENTED
from gateway.older.answers import answer_recognised, answer_whole, whole_shown
from gateway.older.fields import OlderFields, RecogniseFields, known_to_older, read_older
from gateway.openapi.documented import Answer, Body, documented
from gateway.reading.forms import no_choice, no_file, receive_form
from gateway.services import Services, services
from gateway.submission.options import DialectSubmission, JobOptions
from gateway.submission.submit import IncomingAudio, submit
from gateway.waiting.disconnects import note_id_known
from gateway.waiting.synchronous import answer_when_done
from shared import errors
from shared.delivery import QUEUES
from shared.records import JobRecord, Status
from shared.request import TranscriptionRequest

blueprint = Blueprint("legacy", __name__)

TAG = "Older systems"
MADE = {
    "Location": "The job that was made.",
    "X-Longhand-Ignored": "Fields that mean nothing here, percent-encoded, with commas.",
    **DOCUMENTED,
}
REFUSED = (
    errors.InvalidRequest, errors.UnsupportedMedia, errors.EngineNotAvailable,
    errors.IdempotencyMismatch, errors.ModelNotFound, errors.AudioTooLarge, errors.AudioUnreadable,
    errors.StorageFull, errors.Busy,
)  # fmt: skip
FAILED = (
    errors.EngineFailed, errors.GpuOutOfMemory, errors.JobTimedOut, errors.WorkerLost,
    errors.JobCancelled, errors.JobNotFound, errors.WaitTimedOut,
)  # fmt: skip
_POLL_S = 2
_ENDED = (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)


def older_body(*kinds: type[OlderFields], file_field: str = "file") -> Body:
    """The form of an older route."""
    models: tuple[type[BaseModel], ...] = (TranscriptionRequest, JobOptions, *kinds)
    return Body(models=models, files=(file_field,), allows_others=True)


@blueprint.post("/transcribe")
@documented(
    tag=TAG,
    body=older_body(OlderFields),
    answers={200: Answer(shapes.OlderTranscript, headers=MADE)},
    errors=(*REFUSED, *FAILED),
)
def transcribe_form() -> Response:
    """Transcribe a form's `file` and answer with the whole result when it is done."""
    here = services()
    record, submission = _submit(here)
    return answer_when_done(here, record, submission, answer_whole)


@blueprint.post("/recognise")
@documented(
    tag=TAG,
    body=older_body(RecogniseFields),
    answers={200: Answer(shapes.Recognised, headers=MADE)},
    errors=(*REFUSED, *FAILED),
)
def recognise() -> Response:
    """Transcribe a form's `file` and answer with the object that Whisper's own Python returns."""
    here = services()
    with IncomingAudio(here, field="file") as incoming:
        try:
            form = receive_form(incoming.writer, known=known_to_older(RecogniseFields))
        except errors.UnsupportedMedia as error:
            raise errors.InvalidRequest("No file provided", param="file") from error
        except errors.InvalidRequest as error:
            # Callers compare the message with these words.
            older = {no_file(): "No file provided", no_choice(): "No file selected"}
            if error.message not in older:
                raise
            raise errors.InvalidRequest(older[error.message], param="file") from error
        submission = read_older(here, form.fields, RecogniseFields)
        record = submit(here, incoming, submission.meant, form.filename)
    return answer_when_done(here, record, submission, answer_recognised)


@blueprint.post("/transcribe/async")
@documented(
    tag=TAG,
    body=older_body(OlderFields),
    answers={202: Answer(shapes.OlderAccepted, headers=MADE)},
    errors=REFUSED,
)
def transcribe_async() -> Response:
    """Make a job of a form's `file` and answer immediately, with its id."""
    here = services()
    record, submission = _submit(here)
    note_id_known(here, record)
    answer = answer_accepted(record)
    name_ignored(answer, submission.ignored)
    return answer


@blueprint.get("/transcribe/status/<job_id>")
@documented(
    tag=TAG,
    answers={200: Answer(shapes.OlderStatus, headers={"Retry-After": "Seconds to ask again in."})},
    errors=(errors.JobNotFound,),
)
def show_status(job_id: str) -> Response:
    """Tell the status of a job, with its result once it succeeded."""
    jobs = services().jobs
    record = jobs.get(job_id, owner=present_owner())
    has_result = record.status is Status.SUCCEEDED
    result = whole_shown(record, read_transcript(jobs, record)) if has_result else None
    job = dict(job_shown(record))
    answer = jsonify(shapes.OlderStatus(success=True, **job, result=result).value())
    if not record.status.is_final:
        answer.headers["Retry-After"] = str(_POLL_S)
    return answer


@blueprint.get("/queue/stats")
@documented(tag=TAG, access="admin", answers={200: Answer(shapes.QueueStats)}, errors=())
def show_queue() -> Response:
    """Tell how many jobs wait, run and ended, and how many workers there are."""
    here = services()
    live = here.workers.live()
    return jsonify(
        shapes.QueueStats(
            success=True,
            queue_name=QUEUES["normal"],
            **here.jobs.figures.counts(),
            **_ended(here),
            workers=len(live),
            slots=sum(worker.slots for worker in live),
        ).value()
    )


def _submit(here: Services) -> tuple[JobRecord, DialectSubmission[OlderFields]]:
    """Make a job of a form's `file`."""
    with IncomingAudio(here, field="file") as incoming:
        form = receive_form(incoming.writer, known=known_to_older(OlderFields))
        submission = read_older(here, form.fields, OlderFields)
        return submit(here, incoming, submission.meant, form.filename), submission


def _ended(here: Services) -> dict[str, int]:
    """How many jobs ended in each way."""
    totals = here.jobs.figures.totals()
    return {status.value: int(totals.get(f"jobs:{status.value}", 0)) for status in _ENDED}
