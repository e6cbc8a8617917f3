"""What may be said of a job beside what is to be transcribed, and how long its caller waits."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from flask import request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from gateway.reading.parse import once_each, refuse_unknown
from shared.errors import InvalidRequest
from shared.problems import describe_problem
from shared.records import Priority

MAX_LABEL_CHARACTERS = 200

Read = TypeVar("Read", bound=BaseModel)


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


def read_model(model: type[Read], values: dict[str, Any]) -> Read:
    """
    Validate values a caller sent.

    Raises:
        InvalidRequest: It names the first that is not possible.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        raise InvalidRequest(describe_problem(name, first), param=name or None) from error


def read_query(model: type[Read]) -> Read:
    """
    Read the query of the present request.

    Raises:
        InvalidRequest: A parameter is unknown, given twice, or not possible.
    """
    fields = once_each(request.args)
    refuse_unknown(fields, known=model.model_fields)
    return read_model(model, dict(fields))
