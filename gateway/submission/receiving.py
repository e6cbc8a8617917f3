"""How audio comes in: a multipart form or a raw body becomes audio and options."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from flask import request

from gateway.outward.callbacks import check_callback_url
from gateway.reading.fields import JobOptions, read_model
from gateway.reading.forms import AudioWriter, Form, copy_body, copy_form, no_file, too_large
from gateway.reading.parse import fields_and_lists, parse_request, parse_wait
from gateway.services import Services
from gateway.submission.submit import Submission
from shared.errors import InvalidRequest, UnsupportedMedia
from shared.wire import LISTS

Fields = dict[str, str | list[str]]
T = TypeVar("T")


def receive_form(
    writer: AudioWriter,
    read: Callable[[Fields, str], T],
    *,
    file_field: str = "file",
    lists: Collection[str] = LISTS,
    is_known: Callable[[str], bool] | None = None,
) -> T:
    """
    Write the audio of the present request's multipart form.

    Args:
        read: Makes something of the fields, those of the query among them, and the filename.
        file_field: The field that holds the audio.
        lists: Fields that may be given again and again.
        is_known: Whether a name means anything to `read`, which is given the others to name them:
            the last value of a field, an empty one of a file. None where all has to be known.

    Raises:
        InvalidRequest: It is no such form, or `read` raises it.
    """
    if request.mimetype != "multipart/form-data":
        if not request.content_length and "chunked" not in request.headers.get(
            "Transfer-Encoding", ""
        ):
            raise InvalidRequest(no_file(file_field), param=file_field)
        raise UnsupportedMedia(
            f"the body is {request.mimetype or 'of no type'}; send multipart/form-data with the "
            f"audio as {file_field!r}, or the audio alone to /transcribe/binary"
        )
    boundary = request.mimetype_params.get("boundary", "")
    if not boundary:
        raise InvalidRequest("the Content-Type names no multipart boundary")
    form: Form = copy_form(
        request.stream, boundary, writer, file_field=file_field, lists=lists, is_known=is_known
    )
    fields = fields_and_lists(request.args, form.fields, lists=lists, is_known=is_known)
    others: Fields = dict.fromkeys(form.passed_over, "")
    return read(others | fields, form.filename or "")


def receive_body(here: Services, writer: AudioWriter) -> Submission:
    """Write the present request's body, which is the audio; its options are in the query."""
    # `request.form` stays untouched: curl's default type says the body is one.
    if request.mimetype == "multipart/form-data":
        raise UnsupportedMedia(
            "the body is a multipart form; send that to /transcribe/file, or the audio alone here"
        )
    fields = fields_and_lists(request.args, lists=LISTS)
    extension = str(fields.pop("ext", "")).strip(". ")[:10]
    filename = str(fields.pop("filename", "") or (f"audio.{extension}" if extension else "audio"))
    submission = read_submission(here, fields, filename)
    limit = here.settings.max_audio_bytes
    if request.content_length and request.content_length > limit:
        raise too_large(request.content_length, limit)
    copy_body(request.stream, writer)
    return submission


def read_submission(here: Services, fields: Mapping[str, Any], filename: str) -> Submission:
    """
    Read every option a native route takes.

    Raises:
        InvalidRequest: A field is unknown or its value is not possible.
    """
    named = {name: fields[name] for name in JobOptions.model_fields if name in fields}
    job = read_model(JobOptions, named)
    if job.callback_url is not None:
        check_callback_url(here.settings, job.callback_url)
    options = parse_request(fields, also=["wait", *JobOptions.model_fields])
    wait_s = None
    if "wait" in fields:
        wait_s = parse_wait(str(fields["wait"]), longest_s=here.settings.max_wait_s)
    return Submission(options, filename, wait_s, job)
