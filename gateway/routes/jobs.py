"""`/jobs`: jobs and batches listed, shown, changed, cancelled, retried and deleted."""

from __future__ import annotations

import time
from typing import Annotated

from flask import Blueprint, Response, jsonify
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.access.auth import present_owner
from gateway.answering.answers import answer_accepted, job_shown, read_transcript_if_any
from gateway.answering.batches import batch_status, batch_value
from gateway.answering.listing import ListQuery
from gateway.answering.shapes.jobs import (
    Accepted,
    Cancelled,
    Deleted,
    JobAnswer,
    JobList,
    JobOrBatch,
)
from gateway.answering.warned import warnings_value
from gateway.openapi.documented import Answer, Body, documented
from gateway.reading.bodies import read_object
from gateway.reading.fields import parse_wait, read_model, read_query, refuse_unknown
from gateway.services import Services, services
from gateway.submission.batches import Batch
from gateway.submission.options import MAX_LABEL_CHARACTERS, WaitOption
from gateway.waiting.accepting import wait_of
from gateway.waiting.disconnects import disconnect_check
from shared import errors
from shared.errors import JobCancelled, JobNotFound
from shared.records import JobRecord, Status
from shared.request import MOST_SPEAKERS
from shared.wire import Name

blueprint = Blueprint("jobs", __name__)

POLL_S = 2
_BATCH_POLL_S = 0.5


class NoParameters(BaseModel):
    """No parameters."""


class JobChanges(BaseModel):
    """Changes to a job; a field that is left out stays as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: Annotated[str | None, BeforeValidator(lambda value: None if value == "" else value)] = (
        Field(None, max_length=MAX_LABEL_CHARACTERS, description="Its new label; null removes it.")
    )
    speaker_names: dict[Name, Name] = Field(
        default_factory=dict,
        max_length=MOST_SPEAKERS,
        description="Names for its speakers, by their labels in the transcript; `{}` removes "
        "them. Every format has them.",
    )


@blueprint.get("/jobs")
@documented(
    tag="jobs", query=(ListQuery,), answers={200: Answer(JobList)}, errors=(errors.InvalidRequest,)
)
def list_jobs() -> Response:
    """List the newest jobs, newest first."""
    query = read_query(ListQuery)
    page = services().jobs.list(present_owner(), query.asked())
    shown = [job_shown(record) for record in page.records]
    return jsonify(JobList(success=True, jobs=shown, next_cursor=page.next_cursor).value())


@blueprint.get("/jobs/<job_id>")
@documented(
    tag="jobs",
    query=(WaitOption,),
    answers={200: Answer(JobOrBatch, headers={"Retry-After": "When to ask again."})},
    errors=(errors.InvalidRequest, errors.JobNotFound),
    headers={"Prefer": "`wait=<seconds>`: as the parameter `wait`."},
)
def show_job(job_id: str) -> Response:
    """
    Show everything that is known of a job, or of a batch and its jobs.

    With `wait` the answer comes when the status changes, or the time is over.
    """
    asked = read_query(WaitOption).wait
    here = services()
    asked_s = parse_wait(asked, longest_s=here.settings.max_wait_s) if asked is not None else None
    seconds, is_preferred = wait_of(here, asked_s, default_s=0.0)
    try:
        record = here.jobs.get(job_id, owner=present_owner())
    except JobNotFound:
        batch = here.batches.get(job_id, owner=present_owner())
        records, waited = _await_change_of_batch(here, batch, seconds)
        status, value = batch_status(records), batch_value(batch, records)
    else:
        record, waited = _await_change(here, record, seconds)
        status, value = record.status, _job_value(here, record)
    answer = jsonify(value)
    if is_preferred and waited:
        answer.headers["Preference-Applied"] = f"wait={seconds:g}"
    if not status.is_final:
        answer.headers["Retry-After"] = str(POLL_S)
    return answer


@blueprint.post("/jobs/<job_id>/cancel")
@documented(
    tag="jobs", answers={200: Answer(Cancelled)}, errors=(errors.InvalidRequest, errors.JobNotFound)
)
def cancel_job(job_id: str) -> Response:
    """Cancel a job that has not ended, or all jobs of a batch; the audio is kept."""
    read_query(NoParameters)
    here = services()
    batch = _batch_or_none(here, job_id)
    moved = here.batches.cancel(batch) if batch else here.jobs.cancel(find_job(job_id).id)
    status = batch_status(here.batches.records(batch)) if batch else find_job(job_id).status
    answer = Cancelled(success=True, job_id=job_id, status=status, cancelled=moved)
    return jsonify(answer.value())


@blueprint.post("/jobs/<job_id>/retry")
@documented(
    tag="jobs",
    answers={202: Answer(Accepted, headers={"Location": "Where the job is found."})},
    errors=(errors.InvalidRequest, errors.JobNotFound, errors.JobNotRetryable, errors.AudioGone),
)
def retry_job(job_id: str) -> Response:
    """Try again a job that failed or was cancelled, with the same options."""
    read_query(NoParameters)
    return answer_accepted(services().jobs.retry(find_job(job_id).id))


@blueprint.patch("/jobs/<job_id>")
@documented(
    tag="jobs",
    body=Body(models=(JobChanges,), media_types=("application/json",), is_required=False),
    answers={200: Answer(JobAnswer)},
    errors=(errors.InvalidRequest, errors.UnsupportedMedia, errors.JobNotFound),
)
def change_job(job_id: str) -> Response:
    """Change a job's label or the names of its speakers."""
    read_query(NoParameters)
    here = services()
    find_job(job_id)
    sent = read_object()
    refuse_unknown(sent, known=JobChanges.model_fields)
    changes = read_model(JobChanges, sent)
    named = {name: getattr(changes, name) for name in changes.model_fields_set}
    return jsonify(_job_value(here, here.jobs.edit(job_id, named)))


@blueprint.delete("/jobs/<job_id>")
@documented(tag="jobs", answers={200: Answer(Deleted)}, errors=(errors.JobNotFound,))
def delete_job(job_id: str) -> Response:
    """Cancel a job, or a batch, if it has not ended, and remove its audio and result."""
    here = services()
    batch = _batch_or_none(here, job_id)
    if batch:
        status = batch_status(here.batches.delete(batch))
    else:
        status = here.jobs.delete(find_job(job_id).id).status
    return jsonify(Deleted(success=True, job_id=job_id, status=status, deleted=True).value())


def find_job(job_id: str) -> JobRecord:
    """
    The caller's job of that id.

    Raises:
        JobNotFound: There is none, it is another owner's, or it is a batch.
    """
    here, owner = services(), present_owner()
    try:
        return here.jobs.get(job_id, owner=owner)
    except JobNotFound:
        here.batches.get(job_id, owner=owner)
        raise JobNotFound(
            f"{job_id} is a batch; GET /jobs/{job_id} lists its jobs, which have what is asked for"
        ) from None


def _batch_or_none(here: Services, job_id: str) -> Batch | None:
    try:
        return here.batches.get(job_id, owner=present_owner())
    except JobNotFound:
        return None


def _await_change(here: Services, record: JobRecord, seconds: float) -> tuple[JobRecord, bool]:
    """Wait until a job's status changes. Returns the job, and whether there was a slot."""
    if seconds <= 0:
        return record, False
    with here.waiting.hold() as has_slot:
        if not has_slot:
            return record, False
        try:
            now = here.waiting.watch(
                record,
                seconds,
                disconnect_check(),
                is_enough=lambda seen: seen.status is not record.status,
            )
        except JobCancelled as error:  # deleted
            raise JobNotFound(f"there is no job {record.id!r}") from error
        return now, True


def _await_change_of_batch(
    here: Services, batch: Batch, seconds: float
) -> tuple[list[JobRecord], bool]:
    """Wait until a batch's status changes. Returns its jobs, and whether there was a slot."""
    records = here.batches.records(batch)
    status, has_disconnected = batch_status(records), disconnect_check()
    if seconds <= 0 or status.is_final:
        return records, False
    with here.waiting.hold() as has_slot:
        deadline = time.monotonic() + seconds if has_slot else 0.0
        while batch_status(records) is status and not has_disconnected():
            left_s = deadline - time.monotonic()
            if left_s <= 0 or here.waiting.pause(min(_BATCH_POLL_S, left_s)):
                break
            records = here.batches.records(here.batches.get(batch.id, owner=batch.owner))
        return records, has_slot


def _job_value(here: Services, record: JobRecord) -> dict[str, object]:
    """Everything that is known of a job."""
    transcript = read_transcript_if_any(here.jobs, record, chinese="none")
    is_queued = record.status is Status.QUEUED
    shown = dict(job_shown(record))
    if transcript:
        shown["warnings"] = warnings_value(transcript.warnings)
    return JobAnswer(
        success=True,
        **shown,
        queue_position=here.jobs.figures.queue_position(record.run_id) if is_queued else None,
        model=transcript.model if transcript else None,
        options=transcript.options if transcript else None,
    ).value()
