"""`POST /transcribe/…`: audio in, a job out."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from gateway.answers import (
    answer_accepted,
    error_of,
    read_transcript,
    transcript_value,
    wants_segments,
)
from gateway.parse import fields_and_lists, parse_request, parse_wait
from gateway.services import Services, services
from gateway.submission import Submission, submit
from gateway.uploads import NO_FILE, AudioWriter, copy_body, copy_form, too_large
from gateway.waiting import preferred_wait_s
from shared.errors import InvalidRequest, UnsupportedMedia
from shared.jobs import JobRecord, Status
from shared.wire import LISTS

blueprint = Blueprint("transcribe", __name__)


@blueprint.post("/transcribe/file")
def transcribe_file() -> Response:
    """Take a multipart form with the audio in its field `file`."""
    here = services()
    record, submission = submit(here, lambda writer: _receive_form(here, writer))
    return _answer(here, record, submission)


@blueprint.post("/transcribe/binary")
def transcribe_binary() -> Response:
    """Take the audio itself as the body and the options in the query."""
    here = services()
    record, submission = submit(here, lambda writer: _receive_body(here, writer))
    return _answer(here, record, submission)


def _receive_form(here: Services, writer: AudioWriter) -> Submission:
    if request.mimetype != "multipart/form-data":
        if not request.content_length and "chunked" not in request.headers.get(
            "Transfer-Encoding", ""
        ):
            raise InvalidRequest(NO_FILE, param="file")
        raise UnsupportedMedia(
            f"the body is {request.mimetype or 'of no type'}; send multipart/form-data with the "
            "audio as 'file', or the audio alone to /transcribe/binary"
        )
    boundary = request.mimetype_params.get("boundary", "")
    if not boundary:
        raise InvalidRequest("the Content-Type names no multipart boundary")
    form = copy_form(request.stream, boundary, writer)
    fields = fields_and_lists(request.args, form.fields, lists=LISTS)
    return _read_fields(here, fields, filename=form.filename or "", also=["wait"])


def _receive_body(here: Services, writer: AudioWriter) -> Submission:
    # `request.form` stays untouched: curl's default type says the body is one.
    if request.mimetype == "multipart/form-data":
        raise UnsupportedMedia(
            "the body is a multipart form; send that to /transcribe/file, or the audio alone here"
        )
    fields = fields_and_lists(request.args, lists=LISTS)
    extension = str(fields.get("ext", "")).strip(". ")[:10]
    filename = str(fields.get("filename") or (f"audio.{extension}" if extension else "audio"))
    submission = _read_fields(here, fields, filename=filename, also=["wait", "ext", "filename"])
    limit = here.settings.max_audio_bytes
    if request.content_length and request.content_length > limit:
        raise too_large(request.content_length, limit)
    copy_body(request.stream, writer)
    return submission


def _read_fields(
    here: Services, fields: dict[str, str | list[str]], *, filename: str, also: list[str]
) -> Submission:
    options = parse_request(fields, also=also)
    if options.chinese is None:
        options = options.model_copy(update={"chinese": here.settings.default_chinese})
    wait_s = None
    if "wait" in fields:
        wait_s = parse_wait(str(fields["wait"]), longest_s=here.settings.max_wait_s)
    return Submission(options, filename, wait_s)


def _answer(here: Services, record: JobRecord, submission: Submission) -> Response:
    """The result if the caller waits and the job ends in time, or 202."""
    seconds, preferred = submission.wait_s, None
    if seconds is None:
        preferred = preferred_wait_s(request.headers.get("Prefer"))
        seconds = here.settings.default_wait_s if preferred is None else preferred
    seconds = min(seconds, here.settings.max_wait_s)
    is_gone = request.environ.get("waitress.client_disconnected")
    record, had_slot = here.waiting.wait(record, seconds, is_gone=is_gone)
    answer = _answer_now(here, record)
    if preferred is not None and had_slot:
        answer.headers["Preference-Applied"] = f"wait={seconds:g}"
    return answer


def _answer_now(here: Services, record: JobRecord) -> Response:
    if error := error_of(record):
        raise error
    if record.status is not Status.SUCCEEDED:
        return answer_accepted(record)
    transcript = read_transcript(here.jobs, record)
    answer = jsonify(transcript_value(record, transcript, has_segments=wants_segments(record)))
    answer.headers["Location"] = f"/jobs/{record.id}"
    return answer
