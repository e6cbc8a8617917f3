"""A body becomes an object in storage: counted, hashed and cut at the limit as it passes by."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import IO

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

from gateway.reading.audio import AudioWriter
from shared.errors import AudioUnreadable, InvalidRequest
from shared.wire import LISTS

_READ_BYTES = 1 << 16
_MAX_FIELD_BYTES = 64_000
_MAX_FIELDS_BYTES = 16_000_000
"""Of all fields together, which are held in memory; recordings of voices are among them."""

_MAX_HEADER_BYTES = 1 << 19
"""Read without reaching the end of a part's header; more than `_READ_BYTES`."""

_MAX_PARTS = 100


@dataclass
class Form:
    """
    What a multipart body held beside the bytes of its file.

    Attributes:
        filename: None while no file was seen.
        passed_over: Names of files that mean nothing here.
        n_bytes: Of all fields.
    """

    filename: str | None = None
    passed_over: list[str] = field(default_factory=list)
    fields: MultiDict[str, str] = field(default_factory=MultiDict)
    n_bytes: int = 0

    def take(self, name: str, value: bytearray, more: Data) -> None:
        """Add to the value of a field, and keep it once whole; refuse too much, or no text."""
        value += more.data
        self.n_bytes += len(more.data)
        cut = name[:64]
        most = _MAX_FIELDS_BYTES if name.removesuffix("[]") in LISTS else _MAX_FIELD_BYTES
        if len(value) > most:
            raise InvalidRequest(f"field {cut!r} is over {most} bytes long", param=cut)
        if self.n_bytes > _MAX_FIELDS_BYTES:
            together = f"the fields of the form are over {_MAX_FIELDS_BYTES} bytes together"
            raise InvalidRequest(together)
        if not more.more_data:
            try:
                self.fields.add(name, value.decode())
            except UnicodeDecodeError as error:
                raise InvalidRequest(f"field {cut!r} is not UTF-8", param=cut) from error


def copy_form(
    body: IO[bytes],
    boundary: str,
    writer: AudioWriter,
    *,
    file_field: str = "file",
    lists: Collection[str] = LISTS,
    is_known: Callable[[str], bool] | None = None,
) -> Form:
    """
    Write the file of a multipart body and return its fields.

    Args:
        file_field: The field that is the file.
        lists: Fields that may be given again and again.
        is_known: Whether a name means anything or is passed over; None where all of them have to.

    Raises:
        AudioTooLarge: The file is over the limit.
        AudioUnreadable: The file is empty.
        InvalidRequest: There is no file, more than one, or the form is broken.
    """
    writer.param = file_field
    form = Form()
    part: Field | File | None = None
    value = bytearray()
    for event in read_events(body, boundary):
        if isinstance(event, Field | File):
            part, value = event, bytearray()
            if is_known is None or part.name == file_field or is_known(part.name):
                _check_part(part, form, file_field, lists)
            elif isinstance(part, File):
                form.passed_over.append(part.name)
        elif isinstance(event, Data) and isinstance(part, File):
            if part.name == file_field:
                writer.write(event.data)
        elif isinstance(event, Data) and part is not None:
            form.take(part.name, value, event)
    if form.filename is None or not writer.n_bytes:
        raise _nothing(form, file_field)
    return form


class _Decoder(MultipartDecoder):
    """Bears part headers that are not UTF-8: old Windows programs send names in their own code."""

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        return super()._parse_headers(data.decode("utf-8", "replace").encode())


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


def no_file(field: str = "file") -> str:
    """
    What to say to a caller who sent no audio.

    >>> no_file()
    "no audio was sent; send it as the multipart field 'file' (curl: -F file=@talk.mp3)"
    """
    return (
        f"no audio was sent; send it as the multipart field {field!r} (curl: -F {field}=@talk.mp3)"
    )


def no_choice(field: str = "file") -> str:
    """What to say to somebody who sent the form of a page and chose no file in it."""
    return f"no audio was sent; no file was chosen for the field {field!r}"


def _nothing(form: Form, file_field: str) -> InvalidRequest | AudioUnreadable:
    """What is wrong where no audio came."""
    if form.filename:
        return AudioUnreadable("the file is empty", param=file_field)
    if form.filename is None and form.passed_over:
        return _other_file(form.passed_over[0], file_field)
    says = no_file if form.filename is None else no_choice
    return InvalidRequest(says(file_field), param=file_field)


def _other_file(name: str, file_field: str) -> InvalidRequest:
    return InvalidRequest(
        f"field {name[:64]!r} is not known as a file; send the audio as {file_field!r}",
        param=name[:64],
    )


def _check_part(part: Field | File, form: Form, file_field: str, lists: Collection[str]) -> None:
    name = (part.name or "")[:64]
    if isinstance(part, Field):
        if name == file_field:
            raise InvalidRequest(
                f"field {name!r} has to be a file, not text "
                f"(curl: -F {name}=@talk.mp3, with the @)",
                param=name,
            )
        is_list = part.name.endswith("[]") or part.name in lists
        if part.name in form.fields and not is_list:
            raise InvalidRequest(f"field {name!r} was given twice", param=name)
        return
    if name != file_field:
        raise _other_file(name, file_field)
    if form.filename is not None:
        raise InvalidRequest(f"field {name!r} was given twice; send one file a request", param=name)
    form.filename = part.filename
