"""The parts of a multipart body, one after the other, as they arrive (RFC 7578)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from flask import request
from werkzeug.datastructures import Headers, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import (
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
    NeedData,
)

from shared.errors import InvalidRequest
from shared.wire import LISTS

_READ_BYTES = 1 << 16
_MAX_FIELD_BYTES = 64_000
_MAX_FIELDS_BYTES = 16_000_000
"""Most bytes of all text fields, which are held in memory; some are recordings of voices."""

_MAX_HEADER_BYTES = 1 << 19
"""The longest header of a part; it has to be more than `_READ_BYTES`."""

_MAX_PARTS = 100
_BACKSLASH = re.compile(r"""\\(\\|"(?![ \t]*(?:;[ \t]*[\w*]+=|$)))?""")
"""A backslash, and what it escapes, if anything: a quote that ends the value is not escaped."""


class Part(NamedTuple):
    """
    One part of a form.

    Attributes:
        filename: None if the part is a text field; "" if no file was chosen.
        chunks: Its bytes, in pieces that are never empty. They can be read once, and only until
            the next part is asked for.
    """

    name: str
    filename: str | None
    chunks: Iterator[bytes]


class TextFields:
    """
    The text fields of a form, which are held in memory.

    Attributes:
        values: What was read so far.
    """

    def __init__(self) -> None:
        self.values: MultiDict[str, str] = MultiDict()
        self._n_bytes = 0

    def read(self, part: Part) -> None:
        """
        Read a text field.

        Raises:
            InvalidRequest: The field, or all of them together, are too long; or it is not UTF-8.
        """
        value, cut = bytearray(), part.name[:64]
        is_list = part.name.removesuffix("[]") in LISTS
        most = _MAX_FIELDS_BYTES if is_list else _MAX_FIELD_BYTES
        for chunk in part.chunks:
            value += chunk
            self._n_bytes += len(chunk)
            if len(value) > most:
                raise InvalidRequest(f"field {cut!r} is over {most} bytes long", param=cut)
            if self._n_bytes > _MAX_FIELDS_BYTES:
                raise InvalidRequest(
                    f"the fields of the form are over {_MAX_FIELDS_BYTES} bytes together"
                )
        try:
            self.values.add(part.name, value.decode())
        except UnicodeDecodeError as error:
            raise InvalidRequest(f"field {cut!r} is not UTF-8", param=cut) from error


def read_parts(*, most_parts: int = _MAX_PARTS) -> Iterator[Part]:
    """
    The parts of the present request's body. What is not read of a part is skipped.

    Args:
        most_parts: How many there may be, files included.

    Raises:
        InvalidRequest: The body is broken, or has too many parts.
    """
    events = _read_events(most_parts)
    for event in events:
        if isinstance(event, Field | File):
            part = Part(event.name, getattr(event, "filename", None), _chunks(events))
            yield part
            for _ in part.chunks:
                pass


def _chunks(events: Iterator[Event]) -> Iterator[bytes]:
    for event in events:
        assert isinstance(event, Data)
        if event.data:
            yield event.data
        if not event.more_data:
            return


class _Decoder(MultipartDecoder):
    """Reads headers as programs write them; werkzeug by itself reads only what RFCs allow."""

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        # Old Windows programs send names in their own code page, not in UTF-8.
        headers = super()._parse_headers(data.decode("utf-8", "replace").encode())
        for name, value in [*headers]:
            headers[name] = escape_backslashes(value)
        return headers


def escape_backslashes(header: str) -> str:
    r"""
    Escape each backslash of a header that stands for itself, as RFC 9110, 5.6.4, asks.

    Browsers, requests and undici do not escape such a backslash, and write a quote as `%22` (HTML,
    "multipart form data"); older curls escape both. So a backslash is taken as an escape only
    before a backslash, or before a quote within the value.

    >>> escape_backslashes(r'form-data; name="file"; filename="C:\talk\"')
    'form-data; name="file"; filename="C:\\\\talk\\\\"'
    >>> escape_backslashes(r'form-data; name="file"; filename="the \"best\" talk.wav"')
    'form-data; name="file"; filename="the \\"best\\" talk.wav"'
    """
    return _BACKSLASH.sub(lambda found: found[0] if found[1] else r"\\", header)


def _read_events(most_parts: int) -> Iterator[Event]:
    boundary = request.mimetype_params.get("boundary", "")
    if not boundary:
        raise InvalidRequest("the Content-Type names no multipart boundary")
    try:
        decoder = _Decoder(
            boundary.encode("latin-1"), max_form_memory_size=_MAX_HEADER_BYTES, max_parts=most_parts
        )
        while True:
            # None says that the body has ended. If the form is not complete then, it is broken.
            decoder.receive_data(request.stream.read(_READ_BYTES) or None)
            while not isinstance(event := decoder.next_event(), NeedData):
                if getattr(event, "name", "") is None:
                    raise ValueError("a part has no name")  # RFC 7578, 4.2
                yield event
                if isinstance(event, Epilogue):
                    return
    except ValueError as error:
        raise InvalidRequest("the multipart body is broken or cut short") from error
    except RequestEntityTooLarge as error:
        raise InvalidRequest(f"the form is broken, or has more than {most_parts} fields") from error
