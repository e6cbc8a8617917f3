"""What is asked of a job beside its audio, and how both come in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

from flask import request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from gateway.outward.callbacks import check_callback_url
from gateway.reading.audio import AudioWriter, copy_body, too_large
from gateway.reading.fields import Fields, fields_and_lists, parse_wait, read_model, refuse_unknown
from gateway.reading.forms import Form, copy_form, no_file
from gateway.services import Services
from shared.errors import InvalidRequest, UnsupportedMedia
from shared.problems import describe_problem
from shared.records import AskedAs, Priority
from shared.request import TranscriptionRequest
from shared.wire import ALIASES, LISTS

MAX_LABEL_CHARACTERS = 200

T = TypeVar("T")


def _or_none(value: object) -> object:
    return None if value == "" else value


class JobOptions(BaseModel):
    """What a job is called, when it is its turn, and who is told when it ends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: Annotated[str | None, BeforeValidator(_or_none)] = Field(
        None,
        max_length=MAX_LABEL_CHARACTERS,
        description="A name of your own for the job, to find it by.",
    )
    priority: Priority = Field(
        "normal", description="`high` before `normal` before `low`; none of them waits for ever."
    )
    callback_url: Annotated[str | None, BeforeValidator(_or_none)] = Field(
        None, max_length=2000, description="Where a signed message goes when the job has ended."
    )
    cache: bool = Field(
        True,
        description="Whether the result of the same audio with the same options may be taken, and "
        "be given to others; `false` transcribes anew.",
    )


class WaitOption(BaseModel):
    """How long the caller of a job waits."""

    wait: str | None = Field(
        None,
        description="Wait for the result: `true`, `false` or a number of seconds; omitted, the "
        "site decides.",
    )


@dataclass(frozen=True)
class Submission:
    """
    What a caller sent beside the audio.

    Attributes:
        request: The options, as they were sent; of a job that was made, with the site's own.
        wait_s: How long the caller waits for the job; None to leave it to the site.
        is_streamed: Whether the caller reads the text while it is made.
        asked_as: How a client of another service asked, where its answers come later.
    """

    request: TranscriptionRequest
    filename: str
    wait_s: float | None = None
    job: JobOptions = JobOptions()
    is_streamed: bool = False
    asked_as: AskedAs | None = None

    def named(self, filename: str) -> Submission:
        """The same of audio with another name."""
        return replace(self, filename=filename)


def parse_request(
    fields: Mapping[str, str | list[str]], *, also: Collection[str] = ()
) -> TranscriptionRequest:
    """
    Read the options of a job.

    Args:
        fields: Every field sent; a list for those that may be given again and again.
        also: Names the route reads for itself.

    Raises:
        InvalidRequest: A field is unknown or its value is not possible.
    """
    refuse_unknown(fields, known=[*TranscriptionRequest.model_fields, *ALIASES, *also])
    options: dict[str, str | list[str]] = {}
    sent_as: dict[str, str] = {}
    for name, value in fields.items():
        if name not in also:
            own = ALIASES.get(name, name)
            if own in options:
                raise InvalidRequest(f"field {own!r} was given twice, as {name!r} too", param=name)
            options[own], sent_as[own] = value, name
    try:
        return TranscriptionRequest.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        name = sent_as.get(name, name)
        raise InvalidRequest(describe_problem(name, first), param=name or None) from error


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
