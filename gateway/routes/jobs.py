"""`/jobs`: what became of a request."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import quote

from flask import Blueprint, Response, jsonify, request

from gateway.answers import (
    error_of,
    job_value,
    read_transcript,
    transcript_value,
    wants_segments,
    warnings_value,
)
from gateway.auth import present_owner
from gateway.errors import answer_error
from gateway.parse import once_each, parse_count, parse_flag, refuse_unknown
from gateway.services import services
from shared.chinese import find_variant
from shared.errors import JobFailed, JobNotFinished, JobNotFound
from shared.formats import (
    Format,
    FormatOptions,
    find_format,
    read_options,
    refuse_unused,
    render,
)
from shared.formats.structured import segment_value
from shared.jobs import JobRecord, Jobs, Status, is_job_id
from shared.transcript import Transcript

blueprint = Blueprint("jobs", __name__)

_MOST_LISTED = 1000
_POLL_S = 2


@blueprint.get("/jobs")
def list_jobs() -> Response:
    """List the newest jobs, newest first."""
    fields = once_each(request.args)
    refuse_unknown(fields, known=["limit"])
    limit = parse_count("limit", fields.get("limit", "100"), least=1, most=_MOST_LISTED)
    records = services().jobs.newest(owner=present_owner(), limit=limit)
    return jsonify(success=True, jobs=[job_value(record) for record in records])


@blueprint.get("/jobs/<job_id>")
def show_job(job_id: str) -> Response:
    """Tell all there is to know of a job."""
    jobs = services().jobs
    record = jobs.get(job_id, owner=present_owner())
    transcript = _transcript_or_none(jobs, record)
    answer = jsonify(
        success=True,
        **job_value(record),
        queue_position=jobs.queue_position(job_id) if record.status is Status.QUEUED else None,
        model=transcript.model if transcript else None,
        warnings=warnings_value(transcript) if transcript else [],
    )
    if not record.status.is_final:
        answer.headers["Retry-After"] = str(_POLL_S)
    return answer


@blueprint.get("/jobs/<job_id>/result")
def read_result(job_id: str) -> Response:
    """Give the transcript, whole or in one of the formats."""
    fields = once_each(request.args)
    options_known = FormatOptions.model_fields
    refuse_unknown(fields, known=["format", "timestamps", "chinese", *options_known])
    asked = parse_flag("timestamps", fields["timestamps"]) if "timestamps" in fields else None
    wanted = find_format(fields["format"]) if "format" in fields else None
    options = read_options({name: fields[name] for name in fields if name in options_known})
    refuse_unused(options, wanted)
    chinese = find_variant(fields["chinese"]) if "chinese" in fields else None
    jobs = services().jobs
    record = jobs.get(job_id, owner=present_owner())
    if record.status is Status.FAILED:
        return _answer_failed(record)
    if error := error_of(record):
        raise error
    if not record.status.is_final:
        raise JobNotFinished(
            f"the job is {record.status.value}; ask again when GET /jobs/{job_id} says succeeded",
            job_id=job_id,
            retry_after_s=_POLL_S,
        )
    transcript = read_transcript(jobs, record, chinese=chinese)
    if wanted is not None:
        return _answer_format(record, transcript, wanted, options)
    return jsonify(transcript_value(record, transcript, has_segments=wants_segments(record, asked)))


@blueprint.get("/jobs/<job_id>/segments")
def read_segments(job_id: str) -> Response:
    """
    Give the segments that are done, while the job runs; all of them once it succeeded.

    While it runs, what takes the whole audio is not there yet: aligned words and speakers.
    """
    refuse_unknown(once_each(request.args), known=[])
    jobs = services().jobs
    # Before the record: the end of a job removes them.
    segments = jobs.chunks.segments(job_id) if is_job_id(job_id) else []
    record = jobs.get(job_id, owner=present_owner())
    if error := error_of(record):
        raise error
    if record.status is Status.SUCCEEDED:
        segments = list(read_transcript(jobs, record).segments)
    return jsonify(
        success=True,
        job_id=record.id,
        status=record.status.value,
        progress=round(record.progress, 4),
        segments=[segment_value(segment) for segment in segments],
    )


@blueprint.delete("/jobs/<job_id>")
def delete_job(job_id: str) -> Response:
    """Cancel a job if it has not ended, and remove its audio and result."""
    jobs = services().jobs
    jobs.get(job_id, owner=present_owner())
    record = jobs.delete(job_id)
    return jsonify(success=True, job_id=record.id, status=record.status.value, deleted=True)


def _answer_failed(record: JobRecord) -> Response:
    why = record.error or {}
    error = JobFailed(
        f"the job failed: {why.get('message', 'its error was not kept')}", job_id=record.id
    )
    return answer_error(error, job_error=record.error)


def _answer_format(
    record: JobRecord, transcript: Transcript, wanted: Format, options: FormatOptions
) -> Response:
    written = render(transcript, wanted.name, options)
    answer = Response(written, content_type=wanted.media_type)
    stem = PurePosixPath(record.audio.filename).stem or "transcript"
    name = quote(f"{stem}.{wanted.extension}", safe="")
    answer.headers["Content-Disposition"] = f"inline; filename*=UTF-8''{name}"  # RFC 8187
    return answer


def _transcript_or_none(jobs: Jobs, record: JobRecord) -> Transcript | None:
    if record.status is not Status.SUCCEEDED:
        return None
    try:
        return read_transcript(jobs, record, chinese="none")
    except JobNotFound:
        return None
