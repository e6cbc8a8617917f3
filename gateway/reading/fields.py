"""Fields that a caller sent, in a query or a form: joined, known, and read as values."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ValidationError
from werkzeug.datastructures import MultiDict

from shared.errors import InvalidRequest
from shared.problems import describe_problem, shown

Fields = dict[str, str | list[str]]
Read = TypeVar("Read", bound=BaseModel)

_SHOWN_CHARACTERS = 64
_SHOWN_NAMES = 20
_ELSEWHERE = {
    "format": "a format is chosen when the result is read: GET /jobs/{job_id}/result?format=srt",
}


def as_sent(error: InvalidRequest, sent_as: Mapping[str, str]) -> InvalidRequest:
    """
    The error of an option of ours, as an error of the field that the caller sent.

    Args:
        sent_as: For each option of ours, the name of the field that it was made from.

    >>> as_sent(InvalidRequest("top is 7; it must be 5", param="top"), {"top": "of[best]"}).message
    'of[best] is 7; it must be 5'
    """
    name = error.param or ""
    if name not in sent_as:
        return error
    theirs = sent_as[name]
    message = error.message.replace(name, theirs, 1)
    return InvalidRequest(message, param=theirs.partition("[")[0])


def refuse_unknown(names: Iterable[str], *, known: Collection[str]) -> None:
    """
    Refuse the first name that is not known.

    >>> refuse_unknown(["modle"], known=["model", "task"])
    Traceback (most recent call last):
    shared.errors.InvalidRequest: field 'modle' is not known; did you mean 'model'?
    """
    for name in names:
        if name not in known:
            hint = _ELSEWHERE.get(name) or did_you_mean(name, known)
            hint = hint or _known(known)
            cut = name[:_SHOWN_CHARACTERS]
            raise InvalidRequest(f"field {cut!r} is not known; {hint}", param=cut)


def _known(names: Collection[str]) -> str:
    if len(names) > _SHOWN_NAMES:
        return f"the {len(names)} that are known stand in docs/http.md"
    return f"known are {', '.join(sorted(names))}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question that names the nearest known word; "" if none is near."""
    near = difflib.get_close_matches(word[:_SHOWN_CHARACTERS].lower(), list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def once_each(*sources: MultiDict[str, str] | Mapping[str, str]) -> dict[str, str]:
    """
    Join the fields of the query and of the form, none of which may be given twice.

    Raises:
        InvalidRequest: A field was given twice.
    """
    joined = fields_and_lists(*sources, lists=())
    return {name: value for name, value in joined.items() if isinstance(value, str)}


def fields_and_lists(
    *sources: MultiDict[str, str] | Mapping[str, str],
    lists: Collection[str],
    known: Collection[str] | None = None,
) -> Fields:
    """
    Join the fields of the query and of the form.

    Args:
        lists: Fields that may be given more than once. Their names may end with `[]`, as clients
            of OpenAI write them.
        known: Names of fields that mean something; the others may be given more than once too,
            and the last value counts. None: every name means something.

    Returns:
        The value of each field by its name; for a field in `lists`, all its values.

    Raises:
        InvalidRequest: A field that is not a list was given twice.
    """
    joined = Fields()
    for source in sources:
        pairs = source.items(multi=True) if isinstance(source, MultiDict) else source.items()
        for sent, value in pairs:
            name = sent.removesuffix("[]") if sent.removesuffix("[]") in lists else sent
            if name in lists:
                items = joined.setdefault(name, [])
                assert isinstance(items, list)
                items.append(value)
                continue
            # A name that ends with `[]` means something only if it is a list's.
            is_unknown = name.endswith("[]") or (known is not None and name not in known)
            if name in joined and not is_unknown:
                cut = name[:_SHOWN_CHARACTERS]
                raise InvalidRequest(f"field {cut!r} was given twice", param=cut)
            joined[name] = value
    return joined


def parse_wait(value: str, *, longest_s: float) -> float:
    """
    Read `wait`: seconds, or `true` for as long as the site allows.

    >>> parse_wait("true", longest_s=600), parse_wait("2.5", longest_s=600)
    (600, 2.5)
    """
    word = value.strip().lower()
    if word in ("true", "yes", "on"):
        return longest_s
    if word in ("false", "no", "off", ""):
        return 0.0
    try:
        seconds = float(word)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise InvalidRequest(
            f"wait is {shown(value)}; it must be true, false or a number of seconds from 0",
            param="wait",
        )
    return min(seconds, longest_s)


def parse_flag(name: str, value: str) -> bool:
    """Read a field that is true or false; raise InvalidRequest if it is neither."""
    word = value.strip().lower()
    if word not in ("true", "1", "yes", "on", "false", "0", "no", "off"):
        raise InvalidRequest(f"{name} is {shown(value)}; it must be true or false", param=name)
    return word in ("true", "1", "yes", "on")


def split_known(
    fields: Mapping[str, Any], known: Collection[str]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """
    Separate the fields that are known from the others.

    Returns:
        The fields that are known, and the names of the others.

    >>> split_known({"model": "small", "user": "ann"}, {"model"})
    ({'model': 'small'}, ('user',))
    """
    kept = {name: value for name, value in fields.items() if name in known}
    return kept, tuple(name for name in fields if name not in known)


def read_model(
    model: type[Read], values: dict[str, Any], *, sent_as: Mapping[str, str] | None = None
) -> Read:
    """
    Validate values that a caller sent.

    Args:
        sent_as: For a field of the model, the name that the caller knows it by.

    Raises:
        InvalidRequest: A value is not possible; the error names the first such field.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        own = str(first["loc"][0]) if first["loc"] else ""
        name = (sent_as or {}).get(own, own)
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
