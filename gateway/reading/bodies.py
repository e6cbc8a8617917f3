"""Bodies without audio, which are read whole: a JSON object, or the same as a form."""

from __future__ import annotations

import json
from typing import Any

from flask import request
from werkzeug.datastructures import MultiDict

from gateway.reading.fields import fields_and_lists
from gateway.reading.multipart import TextFields, read_parts
from shared.errors import InvalidRequest, UnsupportedMedia
from shared.wire import LISTS

MOST_BYTES = 20_000_000
"""The largest body, which is held in memory: enough for ten recordings of voices as text."""

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def read_object(most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """
    The present request's body as a JSON object; empty if there is no body.

    Args:
        most_bytes: The largest body that is taken.

    Raises:
        InvalidRequest: The body is not a JSON object, or too large.
        UnsupportedMedia: Its Content-Type is another one.
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
    except (ValueError, RecursionError) as error:  # half a surrogate pair is not text
        raise InvalidRequest("the body is not JSON") from error
    if not isinstance(value, dict):
        raise InvalidRequest("the body is not a JSON object, such as {}")
    return value


def read_fields(*, lists: frozenset[str] = LISTS, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """
    The fields of the present request, from its query and from its body, a JSON object or a form.

    Args:
        lists: Fields that may be given more than once.
        most_bytes: The largest body that is taken.

    Raises:
        InvalidRequest: A field is given twice, or the body is broken or too large.
        UnsupportedMedia: The body is neither JSON nor a form.
    """
    if request.mimetype in FORMS:
        _refuse_large(most_bytes)
        form = request.form if request.mimetype == FORMS[0] else _read_form()
        return dict(fields_and_lists(request.args, form, lists=lists))
    fields: dict[str, Any] = dict(fields_and_lists(request.args, lists=lists))
    for sent, value in read_object(most_bytes).items():
        name = sent.removesuffix("[]") if sent.removesuffix("[]") in lists else sent
        if name in fields:
            raise InvalidRequest(f"field {name[:64]!r} was given twice", param=name[:64])
        if value is not None:
            fields[name] = value
    return fields


def _read_form() -> MultiDict[str, str]:
    """The text fields of the present request's multipart form, which may hold no file."""
    texts = TextFields()
    for part in read_parts():
        if part.filename is not None:
            cut = part.name[:64]
            raise InvalidRequest(
                f"field {cut!r} is a file; send that to /transcribe/file", param=cut
            )
        texts.read(part)
    return texts.values


def _refuse_large(most_bytes: int) -> None:
    if (request.content_length or 0) > most_bytes:
        raise InvalidRequest(f"the body is over {most_bytes} bytes long, which no such body is")


def _read_small(most_bytes: int) -> bytes:
    _refuse_large(most_bytes)
    body = request.stream.read(most_bytes + 1)
    if len(body) > most_bytes:
        raise InvalidRequest(f"the body is over {most_bytes} bytes long, which no such body is")
    return body
