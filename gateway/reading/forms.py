"""A multipart form with one recording: its file goes to storage, its fields become values."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from flask import request

from gateway.reading.audio import AudioWriter
from gateway.reading.fields import Fields, fields_and_lists
from gateway.reading.multipart import Part, TextFields, read_parts
from shared.errors import AudioUnreadable, InvalidRequest, UnsupportedMedia
from shared.wire import LISTS


class SentForm(NamedTuple):
    """
    What a form holds beside the bytes of its file.

    Attributes:
        fields: Those of the form and of the query.
        filename: What the caller calls the file; "" for a file without a name.
    """

    fields: Fields
    filename: str


def receive_form(
    writer: AudioWriter,
    *,
    file_field: str = "file",
    lists: Collection[str] = LISTS,
    known: Collection[str] | None = None,
) -> SentForm:
    """
    Write the audio of the present request's multipart form, and return the rest of the form.

    Args:
        file_field: The field that holds the audio.
        lists: Fields that may be given more than once.
        known: Names of fields that mean something. Any other field is returned with its last
            value, and any other file as an empty field. None: an unknown file is an error.

    Raises:
        AudioTooLarge: The file is over the limit.
        AudioUnreadable: The file is empty.
        InvalidRequest: There is no file, more than one, or the form is broken.
        UnsupportedMedia: The body is not a form.
    """
    _check_type(file_field)
    texts, others = TextFields(), Fields()
    filename: str | None = None
    for part in read_parts():
        if known is None or part.name == file_field or part.name in known:
            _check_part(part, texts, file_field=file_field, lists=lists)
        if part.filename is None:
            texts.read(part)
        elif part.name != file_field:
            others[part.name] = ""
        elif filename is None:
            filename = part.filename
            for chunk in part.chunks:
                writer.write(chunk)
        else:
            raise InvalidRequest(
                f"field {file_field!r} was given twice; send one file a request", param=file_field
            )
    if filename is None or not writer.n_bytes:
        raise _no_audio(filename, others, file_field)
    fields = fields_and_lists(request.args, texts.values, lists=lists, known=known)
    return SentForm(others | fields, filename)


def no_file(field: str = "file") -> str:
    """
    The message for a caller who sent no audio.

    >>> no_file()
    "no audio was sent; send it as the multipart field 'file' (curl: -F file=@talk.mp3)"
    """
    return (
        f"no audio was sent; send it as the multipart field {field!r} (curl: -F {field}=@talk.mp3)"
    )


def no_choice(field: str = "file") -> str:
    """The message for a caller who sent a page's form without choosing a file."""
    return f"no audio was sent; no file was chosen for the field {field!r}"


def text_for_file(field: str) -> InvalidRequest:
    """The error of a field that has to be a file and came as text."""
    return InvalidRequest(
        f"field {field!r} has to be a file, not text (curl: -F {field}=@talk.mp3, with the @)",
        param=field,
    )


def _check_type(file_field: str) -> None:
    if request.mimetype == "multipart/form-data":
        return
    if not request.content_length and "chunked" not in request.headers.get("Transfer-Encoding", ""):
        raise InvalidRequest(no_file(file_field), param=file_field)
    raise UnsupportedMedia(
        f"the body is {request.mimetype or 'of no type'}; send multipart/form-data with the "
        f"audio as {file_field!r}, or the audio alone to /transcribe/binary"
    )


def _check_part(part: Part, texts: TextFields, *, file_field: str, lists: Collection[str]) -> None:
    cut = part.name[:64]
    if part.filename is not None:
        if part.name != file_field:
            raise _other_file(part.name, file_field)
    elif part.name == file_field:
        raise text_for_file(cut)
    elif part.name in texts.values and not (part.name.endswith("[]") or part.name in lists):
        raise InvalidRequest(f"field {cut!r} was given twice", param=cut)


def _no_audio(
    filename: str | None, others: Fields, file_field: str
) -> InvalidRequest | AudioUnreadable:
    """The error of a form without audio."""
    if filename:
        return AudioUnreadable("the file is empty", param=file_field)
    if filename is not None:
        return InvalidRequest(no_choice(file_field), param=file_field)
    if others:
        return _other_file(next(iter(others)), file_field)
    return InvalidRequest(no_file(file_field), param=file_field)


def _other_file(name: str, file_field: str) -> InvalidRequest:
    return InvalidRequest(
        f"field {name[:64]!r} is not known as a file; send the audio as {file_field!r}",
        param=name[:64],
    )
