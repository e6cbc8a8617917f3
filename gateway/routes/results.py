"""`/jobs/{job_id}/result` and `/segments`: the text when it is done, and while it is made."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import cast
from urllib.parse import quote

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, Field

from gateway.answering.answers import error_of, read_transcript, transcript_shown, wants_segments
from gateway.answering.shapes.jobs import (
    ResultAnswer,
    SegmentsAnswer,
    SegmentShown,
    TranscriptAnswer,
)
from gateway.answering.warned import DOCUMENTED, name_warnings, name_warnings_early
from gateway.errors import answer_error
from gateway.openapi.documented import Answer, documented
from gateway.reading.fields import once_each, parse_flag, refuse_unknown
from gateway.routes.jobs import POLL_S, find_job
from gateway.services import services
from shared import errors
from shared.chinese import Variant, find_variant
from shared.errors import JobFailed, JobNotFinished
from shared.formats import (
    FORMATS,
    Format,
    FormatOptions,
    find_format,
    read_options,
    refuse_unused,
    render,
)
from shared.formats.structured import segment_value
from shared.records import JobRecord, Status
from shared.transcript import Transcript

blueprint = Blueprint("results", __name__)

_MEDIA_TYPES = ("application/json", *sorted({known.media_type for known in FORMATS.values()}))


class ResultQuery(BaseModel):
    """The query of a result."""

    format: str | None = Field(
        None,
        description="The format; if omitted, the same JSON as for an upload.",
        json_schema_extra={"enum": [*FORMATS]},
    )
    timestamps: bool | None = Field(None, description="Whether the answer has `segments`.")
    chinese: Variant | None = Field(None, description="The script of Chinese text.")


@blueprint.get("/jobs/<job_id>/result")
@documented(
    tag="jobs",
    query=(ResultQuery, FormatOptions),
    answers={
        200: Answer(
            ResultAnswer,
            media_types=tuple(dict.fromkeys(_MEDIA_TYPES)),
            headers={
                "Content-Disposition": "A filename, if a format was asked for.",
                **DOCUMENTED,
            },
        )
    },
    errors=(
        errors.InvalidRequest,
        errors.JobNotFound,
        errors.JobNotFinished,
        errors.JobFailed,
        errors.JobCancelled,
    ),
)
def read_result(job_id: str) -> Response:
    """Give the transcript as JSON, or in one of the formats."""
    fields = once_each(request.args)
    options_known = FormatOptions.model_fields
    refuse_unknown(fields, known=[*ResultQuery.model_fields, *options_known])
    asked = parse_flag("timestamps", fields["timestamps"]) if "timestamps" in fields else None
    wanted = find_format(fields["format"]) if "format" in fields else None
    options = read_options({name: fields[name] for name in fields if name in options_known})
    refuse_unused(options, wanted)
    chinese = find_variant(fields["chinese"]) if "chinese" in fields else None
    jobs = services().jobs
    record = find_job(job_id)
    if record.status is Status.FAILED:
        return _answer_failed(record)
    if error := error_of(record):
        raise error
    if not record.status.is_final:
        raise JobNotFinished(
            f"the job is {record.status.value}; ask again when GET /jobs/{job_id} says succeeded",
            job_id=job_id,
            retry_after_s=POLL_S,
        )
    transcript = read_transcript(jobs, record, chinese=chinese)
    if wanted is not None:
        return name_warnings(_answer_format(record, transcript, wanted, options), transcript)
    has_segments = wants_segments(record, asked)
    shown = transcript_shown(TranscriptAnswer, record, transcript, has_segments=has_segments)
    return name_warnings(jsonify(shown.value()), transcript)


@blueprint.get("/jobs/<job_id>/segments")
@documented(
    tag="jobs",
    answers={200: Answer(SegmentsAnswer, headers=DOCUMENTED)},
    errors=(errors.InvalidRequest, errors.JobNotFound, errors.JobCancelled),
)
def read_segments(job_id: str) -> Response:
    """
    Give the segments that are done while the job runs, and all of them once it succeeded.

    While it runs, aligned words and speakers are missing: they need the whole audio.
    """
    refuse_unknown(once_each(request.args), known=[])
    jobs = services().jobs
    run_id = find_job(job_id).run_id
    # They are read before the record, since the end of a run removes them.
    segments = jobs.runs.chunks.segments(run_id)
    record = find_job(job_id)
    if error := error_of(record):
        raise error
    if record.status is Status.SUCCEEDED:
        segments = list(read_transcript(jobs, record).segments)
    shown = SegmentsAnswer(
        success=True,
        job_id=record.id,
        status=record.status,
        progress=round(record.progress, 4),
        segments=cast("list[SegmentShown]", [segment_value(segment) for segment in segments]),
    )
    return name_warnings_early(jsonify(shown.value()), services().settings.catalogue, record)


def _answer_failed(record: JobRecord) -> Response:
    why = record.error or {}
    error = JobFailed(
        f"the job failed: {why.get('message', 'its error was not kept')}", job_id=record.id
    )
    return answer_error(error, job_error=record.error)


def _answer_format(
    record: JobRecord, transcript: Transcript, wanted: Format, options: FormatOptions
) -> Response:
    written = render(transcript, wanted.name, options, filename=record.audio.filename)
    answer = Response(written, content_type=wanted.media_type)
    stem = PurePosixPath(record.audio.filename).stem or "transcript"
    name = quote(f"{stem}.{wanted.extension}", safe="")
    answer.headers["Content-Disposition"] = f"inline; filename*=UTF-8''{name}"  # RFC 8187
    return answer
