"""`POST /transcribe/…`: audio in, a job out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, request
from pydantic import BaseModel, Field

from gateway.access.auth import present_owner
from gateway.answering.shapes.jobs import Accepted, TranscriptAnswer
from gateway.answering.warned import DOCUMENTED
from gateway.openapi.documented import Answer, Body, Header, documented
from gateway.reading.audio import AudioWriter
from gateway.reading.bodies import FORMS, read_fields
from gateway.services import services
from gateway.submission.options import (
    JobOptions,
    Submission,
    WaitOption,
    read_submission,
    receive_body,
    receive_form,
)
from gateway.submission.sharing import KEY_HEADER
from gateway.submission.submit import submit
from gateway.waiting.accepting import answer_submitted
from shared import errors
from shared.errors import InvalidRequest
from shared.request import TranscriptionRequest

blueprint = Blueprint("transcribe", __name__)

OPTIONS = (TranscriptionRequest, JobOptions, WaitOption)
KEY = Header(
    "A name of the caller's own for this request: sent again, it is the same job.",
    {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
)
REQUEST_HEADERS = {
    "Prefer": "`wait=<seconds>`: wait for the result, as the field `wait`.",
    KEY_HEADER: KEY,
}
ACCEPTED = Answer(
    Accepted, description="The job goes on.", headers={"Location": "Where the job is found."}
)
ANSWERS = {
    202: ACCEPTED,
    200: Answer(
        TranscriptAnswer,
        description="The caller waited, and this is the result.",
        headers=DOCUMENTED,
    ),
}
ERRORS = (
    errors.InvalidRequest,
    errors.UnsupportedMedia,
    errors.EngineNotAvailable,
    errors.IdempotencyMismatch,
    errors.ModelNotFound,
    errors.JobCancelled,
    errors.JobNotFound,
    errors.AudioTooLarge,
    errors.AudioUnreadable,
    errors.EngineFailed,
    errors.GpuOutOfMemory,
    errors.JobTimedOut,
    errors.WorkerLost,
    errors.StorageFull,
)


class RawName(BaseModel):
    """What a body that is nothing but audio cannot say of itself."""

    filename: str | None = Field(None, description="What the audio is called.")
    ext: str | None = Field(None, description="Its extension, where it has no name.")


class AudioUrl(BaseModel):
    """Where the audio is."""

    url: str = Field(description="An http or https URL of the audio.")


class AudioUpload(BaseModel):
    """What was uploaded in parts."""

    upload: str = Field(description="The id of a finished upload: the end of its URL.")


@blueprint.post("/transcribe/file")
@documented(
    tag="transcribe",
    query=OPTIONS,
    body=Body(models=OPTIONS, files=("file",)),
    answers=ANSWERS,
    errors=ERRORS,
    headers=REQUEST_HEADERS,
)
def transcribe_file() -> Response:
    """Take a multipart form with the audio in its field `file`."""
    here = services()

    def read(fields: dict[str, str | list[str]], filename: str) -> Submission:
        return read_submission(here, fields, filename)

    return answer_submitted(here, *submit(here, lambda writer: receive_form(writer, read)))


@blueprint.post("/transcribe/binary")
@documented(
    tag="transcribe",
    query=(*OPTIONS, RawName),
    body=Body(media_types=("application/octet-stream",), is_raw=True),
    answers=ANSWERS,
    errors=ERRORS,
    headers=REQUEST_HEADERS,
)
def transcribe_binary() -> Response:
    """Take the audio itself as the body and the options in the query."""
    here = services()
    return answer_submitted(here, *submit(here, lambda writer: receive_body(here, writer)))


@blueprint.post("/transcribe/url")
@documented(
    tag="transcribe",
    query=(AudioUrl, *OPTIONS),
    body=Body(models=(AudioUrl, *OPTIONS), media_types=("application/json", *FORMS)),
    answers=ANSWERS,
    errors=(*ERRORS, errors.AudioUnreachable),
    headers=REQUEST_HEADERS,
)
def transcribe_url() -> Response:
    """Fetch the audio from where `url` says it is, and take that."""
    here = services()
    fields = read_fields()
    url = _take(fields, "url", 'send {"url": "https://…/talk.mp3"}, or the same as a form')
    submission = read_submission(here, fields, "audio")
    if submission.request.timestamps is None:
        # The answer is that of the synchronous route that this one takes the place of.
        with_segments = submission.request.model_copy(update={"timestamps": True})
        submission = replace(submission, request=with_segments)

    def receive(writer: AudioWriter) -> Submission:
        writer.param = "url"
        return submission.named(here.downloads.fetch(url, writer))

    return answer_submitted(here, *submit(here, receive))


@blueprint.post("/transcribe/upload")
@documented(
    tag="transcribe",
    query=(AudioUpload, *OPTIONS),
    body=Body(models=(AudioUpload, *OPTIONS), media_types=("application/json", *FORMS)),
    answers=ANSWERS,
    errors=(*ERRORS, errors.UploadNotFound, errors.UploadConflict),
    headers=REQUEST_HEADERS,
)
def transcribe_upload() -> Response:
    """Take the audio that was uploaded in parts; see `/uploads`."""
    here = services()
    fields = read_fields()
    upload_id = _take(fields, "upload", "send the id of a finished upload: the end of its URL")
    upload = here.uploads.finished(upload_id, owner=present_owner())
    submission = read_submission(here, fields, upload.filename)

    def receive(writer: AudioWriter) -> Submission:
        writer.param = "upload"
        here.uploads.copy(upload, writer)
        return submission

    record, submission = submit(here, receive)
    if KEY_HEADER not in request.headers:  # or the same request could not come again
        here.uploads.remove(upload)
    return answer_submitted(here, record, submission)


def _take(fields: dict[str, Any], name: str, hint: str) -> str:
    """Take a field that has to be there out of the others."""
    value = fields.pop(name, None)
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest(f"field {name!r} is missing; {hint}", param=name)
    return value.strip()
