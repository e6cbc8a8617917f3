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
from gateway.reading.audio import copy_body
from gateway.reading.bodies import FORMS, read_fields
from gateway.reading.fields import fields_and_lists
from gateway.reading.forms import receive_form
from gateway.services import services
from gateway.submission.options import JobOptions, WaitOption, read_submission
from gateway.submission.sharing import KEY_HEADER
from gateway.submission.submit import IncomingAudio, submit
from gateway.waiting.accepting import answer_submitted
from shared import errors
from shared.errors import InvalidRequest, UnsupportedMedia
from shared.request import TranscriptionRequest
from shared.wire import LISTS

blueprint = Blueprint("transcribe", __name__)

OPTIONS = (TranscriptionRequest, JobOptions, WaitOption)
KEY = Header(
    "A name for the request: a request that is sent again with it gets the same job.",
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
    """What the audio is called, if the body is nothing but audio."""

    filename: str | None = Field(None, description="The name of the audio.")
    ext: str | None = Field(None, description="Its extension, if it has no name.")


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
    with IncomingAudio(here, field="file") as incoming:
        form = receive_form(incoming.writer)
        submission = read_submission(here, form.fields)
        record = submit(here, incoming, submission, form.filename)
    return answer_submitted(here, record, submission.wait_s)


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
    # `request.form` is not read: curl says of any body that it is a form.
    if request.mimetype == "multipart/form-data":
        raise UnsupportedMedia(
            "the body is a multipart form; send that to /transcribe/file, or the audio alone here"
        )
    fields = fields_and_lists(request.args, lists=LISTS)
    extension = str(fields.pop("ext", "")).strip(". ")[:10]
    filename = str(fields.pop("filename", "") or (f"audio.{extension}" if extension else "audio"))
    submission = read_submission(here, fields)
    with IncomingAudio(here) as incoming:
        copy_body(incoming.writer)
        record = submit(here, incoming, submission, filename)
    return answer_submitted(here, record, submission.wait_s)


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
    """Fetch the audio from the URL in the field `url`."""
    here = services()
    fields = read_fields()
    url = _take(fields, "url", 'send {"url": "https://…/talk.mp3"}, or the same as a form')
    submission = read_submission(here, fields)
    if submission.request.timestamps is None:
        # This route takes the place of a synchronous one, whose answer had segments.
        with_segments = submission.request.model_copy(update={"timestamps": True})
        submission = replace(submission, request=with_segments)
    with IncomingAudio(here, field="url") as incoming:
        filename = here.downloads.fetch(url, incoming.writer)
        record = submit(here, incoming, submission, filename)
    return answer_submitted(here, record, submission.wait_s)


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
    submission = read_submission(here, fields)
    with IncomingAudio(here, field="upload") as incoming:
        here.uploads.copy(upload, incoming.writer)
        record = submit(here, incoming, submission, upload.filename)
    if KEY_HEADER not in request.headers:  # with a key the same request may come again
        here.uploads.remove(upload)
    return answer_submitted(here, record, submission.wait_s)


def _take(fields: dict[str, Any], name: str, hint: str) -> str:
    """Remove a required field from the others, and return its text."""
    value = fields.pop(name, None)
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest(f"field {name!r} is missing; {hint}", param=name)
    return value.strip()
