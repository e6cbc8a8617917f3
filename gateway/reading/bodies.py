"""Bodies without audio: a JSON object, or the same as a form."""

from __future__ import annotations

import json
from typing import Any

from flask import request

from gateway.reading.fields import fields_and_lists
from shared.errors import InvalidRequest, UnsupportedMedia
from shared.wire import LISTS

MOST_BYTES = 20_000_000
"""Recordings of ten voices, as text, and some more: a body of this kind is held in memory."""

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def read_object(most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """
    The present request's body as a JSON object; empty if there is no body.

    Args:
        most_bytes: The most that it may have.

    Raises:
        InvalidRequest: It is no JSON object, or too large for one.
        UnsupportedMedia: It says that it is something else.
    """
    body = _read_small(most_bytes)
    if not body:
        return {}
    if not request.is_json:
        raise UnsupportedMedia(
            f"the body is {request.mimetype or 'of no type'}; send application/json"
        )
    try:
        value = json.loads(body)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:  # half a surrogate pair is no text either
        raise InvalidRequest("the body is not JSON") from error
    if not isinstance(value, dict):
        raise InvalidRequest("the body is not a JSON object, such as {}")
    return value


def read_fields(*, lists: frozenset[str] = LISTS, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """
    The fields of the present request, in its query and its body, be that JSON or a form.

    Args:
        lists: Those that may be given again and again.
        most_bytes: The most that the body may have.

    Raises:
        InvalidRequest: A field is given twice, or the body is broken.
        UnsupportedMedia: The body is neither.
    """
    if request.mimetype in FORMS:
        _refuse_large(most_bytes)
        for name in request.files:
            raise InvalidRequest(
                f"field {name[:64]!r} is a file; send that to /transcribe/file", param=name[:64]
            )
        return dict(fields_and_lists(request.args, request.form, lists=lists))
    fields: dict[str, Any] = dict(fields_and_lists(request.args, lists=lists))
    for sent, value in read_object(most_bytes).items():
        name = sent.removesuffix("[]") if sent.removesuffix("[]") in lists else sent
        if name in fields:
            raise InvalidRequest(f"field {name[:64]!r} was given twice", param=name[:64])
        if value is not None:
            fields[name] = value
    return fields


def _refuse_large(most_bytes: int) -> None:
    if (request.content_length or 0) > most_bytes:
        raise InvalidRequest(f"the body is over {most_bytes} bytes long, which no such body is")


def _read_small(most_bytes: int) -> bytes:
    _refuse_large(most_bytes)
    body = request.stream.read(most_bytes + 1)
    if len(body) > most_bytes:
        raise InvalidRequest(f"the body is over {most_bytes} bytes long, which no such body is")
    return body
