"""Reads what is asked beside the audio: fields become options, or an error names the field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.outward.callbacks import check_callback_url
from gateway.reading.fields import parse_wait, read_model, refuse_unknown
from gateway.services import Services
from shared.errors import InvalidRequest
from shared.records import AskedAs, Priority
from shared.request import TranscriptionRequest
from shared.wire import ALIASES

MAX_LABEL_CHARACTERS = 200

Own = TypeVar("Own")


def _or_none(value: object) -> object:
    return None if value == "" else value


class JobOptions(BaseModel):
    """A job's label and priority, where a message goes when it ends, and whether it is cached."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: Annotated[str | None, BeforeValidator(_or_none)] = Field(
        None,
        max_length=MAX_LABEL_CHARACTERS,
        description="A name of your own for the job, to find it by.",
    )
    priority: Priority = Field(
        "normal",
        description="`high` goes before `normal`, and `normal` before `low`; no job waits for "
        "ever.",
    )
    callback_url: Annotated[str | None, BeforeValidator(_or_none)] = Field(
        None,
        max_length=2000,
        description="URL to which a signed message is sent when the job has ended.",
    )
    cache: bool = Field(
        True,
        description="Whether the job may share its run and its result with jobs of the same "
        "audio and options; `false` transcribes anew.",
    )


class WaitOption(BaseModel):
    """How long the caller of a job waits."""

    wait: str | None = Field(
        None,
        description="Wait for the result: `true`, `false` or a number of seconds; if omitted, "
        "the site decides.",
    )


OPTION_NAMES = frozenset((*TranscriptionRequest.model_fields, *ALIASES, *JobOptions.model_fields))
"""Every name that an option of a job may be sent by."""


@dataclass(frozen=True)
class Submission:
    """
    What a caller asks beside the audio.

    Attributes:
        request: The options as they were sent, without the site's own.
        job: What concerns the job and not its text.
        wait_s: How long the caller waits for the job; None if they did not say.
        is_streamed: Whether the caller reads the text while it is made.
        asked_as: How a client of another service asked; kept for an answer that is made later.
    """

    request: TranscriptionRequest
    job: JobOptions = JobOptions()
    wait_s: float | None = None
    is_streamed: bool = False
    asked_as: AskedAs | None = None


@dataclass(frozen=True)
class DialectSubmission(Generic[Own]):
    """
    What a client of another service asks beside the audio.

    Attributes:
        meant: The same as a submission of ours.
        fields: The other service's own fields.
        ignored: Names of fields that mean nothing here.
        replaced: The model that was asked for, if the default took its place; else "".
    """

    meant: Submission
    fields: Own
    ignored: tuple[str, ...] = ()
    replaced: str = ""


def read_submission(here: Services, fields: Mapping[str, Any]) -> Submission:
    """
    Read every option of ours.

    Args:
        fields: Every field that was sent; a list for those that may be given more than once.

    Raises:
        InvalidRequest: A field is unknown or its value is not possible.
    """
    named = {name: fields[name] for name in JobOptions.model_fields if name in fields}
    job = read_model(JobOptions, named)
    if job.callback_url is not None:
        check_callback_url(here.settings, job.callback_url)
    refuse_unknown(fields, known=OPTION_NAMES | {"wait"})
    request = parse_request({n: value for n, value in fields.items() if n not in {*named, "wait"}})
    wait_s = None
    if "wait" in fields:
        wait_s = parse_wait(str(fields["wait"]), longest_s=here.settings.max_wait_s)
    return Submission(request, job, wait_s)


def parse_request(fields: Mapping[str, Any]) -> TranscriptionRequest:
    """
    Read the options of a transcription.

    Args:
        fields: Those options alone, by any of their names.

    Raises:
        InvalidRequest: An option is given by two of its names, or its value is not possible.
    """
    options: dict[str, Any] = {}
    sent_as: dict[str, str] = {}
    for name, value in fields.items():
        own = ALIASES.get(name, name)
        if own in options:
            raise given_twice(sent_as[own], name)
        options[own], sent_as[own] = value, name
    return read_model(TranscriptionRequest, options, sent_as=sent_as)


def given_twice(first: str, second: str) -> InvalidRequest:
    """The error of one option that was sent by two names."""
    return InvalidRequest(f"field {first!r} was given twice, as {second!r} too", param=second)
