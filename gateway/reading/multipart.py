"""The parts of a multipart body (RFC 7578), whoever wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Epilogue, Event, MultipartDecoder, NeedData

from shared.errors import InvalidRequest

_READ_BYTES = 1 << 16
_MAX_HEADER_BYTES = 1 << 19
"""Read without reaching the end of a part's header; more than `_READ_BYTES`."""

_MAX_PARTS = 100
_BACKSLASH = re.compile(r"""\\(\\|"(?![ \t]*(?:;[ \t]*[\w*]+=|$)))?""")
"""With what it escapes, if anything: a quote that ends the value is not escaped."""


def read_events(body: IO[bytes], boundary: str, *, most_parts: int = _MAX_PARTS) -> Iterator[Event]:
    """
    The parts of a multipart body, as they arrive.

    Args:
        most_parts: How many there may be, files among them.

    Raises:
        InvalidRequest: It is broken, or has too many parts.
    """
    try:
        decoder = _Decoder(
            boundary.encode("latin-1"), max_form_memory_size=_MAX_HEADER_BYTES, max_parts=most_parts
        )
        while True:
            # At the end of the body this is None, after which no event means a broken form.
            decoder.receive_data(body.read(_READ_BYTES) or None)
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


class _Decoder(MultipartDecoder):
    """Bears part headers as programs write them, which werkzeug reads by the letter of the RFCs."""

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        # Old Windows programs send names in their own code, not in UTF-8.
        headers = super()._parse_headers(data.decode("utf-8", "replace").encode())
        for name, value in [*headers]:
            headers[name] = escape_backslashes(value)
        return headers


def escape_backslashes(header: str) -> str:
    r"""
    A header in which a backslash that stands for itself is escaped, as RFC 9110, 5.6.4, wants it.

    Browsers, requests and undici write it as it is, and a quote as `%22` (HTML, "multipart form
    data"); older curls escape both. So it escapes only a backslash or a quote within the value.

    >>> escape_backslashes(r'form-data; name="file"; filename="C:\talk\"')
    'form-data; name="file"; filename="C:\\\\talk\\\\"'
    >>> escape_backslashes(r'form-data; name="file"; filename="the \"best\" talk.wav"')
    'form-data; name="file"; filename="the \\"best\\" talk.wav"'
    """
    return _BACKSLASH.sub(lambda found: found[0] if found[1] else r"\\", header)
