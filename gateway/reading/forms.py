"""A body becomes an object in storage: counted, hashed and cut at the limit as it passes by."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import IO, BinaryIO

from werkzeug.datastructures import MultiDict
from werkzeug.sansio.multipart import Data, Field, File

from gateway.reading.multipart import read_events
from shared.errors import AudioTooLarge, AudioUnreadable, InvalidRequest
from shared.sizes import in_words
from shared.wire import LISTS

_READ_BYTES = 1 << 16
_MAX_FIELD_BYTES = 64_000
_MAX_FIELDS_BYTES = 16_000_000
"""Of all fields together, which are held in memory; recordings of voices are among them."""

_MAX_FILENAME_CHARACTERS = 255
_BIDI_CONTROLS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


class AudioWriter:
    """
    Writes an upload, counting and hashing it.

    Args:
        out: Where the bytes go.
        limit: The most of them, by the operator's setting.
    """

    param: str | None = None
    """The field that the audio comes in or is named by, for errors of it."""

    def __init__(self, out: BinaryIO, limit: int) -> None:
        self._out = out
        self._limit = limit
        self._sha256 = hashlib.sha256()
        self.n_bytes = 0

    def write(self, data: bytes | bytearray) -> None:
        """
        Add to the upload.

        Raises:
            AudioTooLarge: It has grown over the limit.
        """
        self.n_bytes += len(data)
        if self.n_bytes > self._limit:
            raise too_large(None, self._limit)
        self._sha256.update(data)
        self._out.write(data)

    @property
    def sha256(self) -> str:
        """The hash of all that was written, in hexadecimal digits."""
        return self._sha256.hexdigest()


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


def copy_body(body: IO[bytes], writer: AudioWriter) -> None:
    """
    Write a whole body.

    Raises:
        AudioTooLarge: It is over the limit.
        InvalidRequest: There is none.
    """
    while data := body.read(_READ_BYTES):
        writer.write(data)
    if not writer.n_bytes:
        raise InvalidRequest(
            "no audio was sent; the body is to be the audio (curl: --data-binary @talk.mp3)"
        )


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


def too_large(n_bytes: int | None, limit: int) -> AudioTooLarge:
    """
    The error of an upload over the limit.

    Args:
        n_bytes: Its size where that is known.

    >>> str(too_large(2_100_000_000, 500_000_000))
    'the upload is 2.1 GB; the limit is 500 MB (LONGHAND_MAX_AUDIO_BYTES)'
    """
    size = f"{in_words(n_bytes)}" if n_bytes else "larger than allowed"
    return AudioTooLarge(
        f"the upload is {size}; the limit is {in_words(limit)} (LONGHAND_MAX_AUDIO_BYTES)",
        param="file",
    )


def clean_filename(name: str) -> str:
    """
    A caller's filename as data: no directories, nothing that moves the cursor, not too long.

    >>> clean_filename("C:\\\\talks\\\\会议录音.mp3")
    '会议录音.mp3'
    """
    base = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(
        c
        for c in base
        if unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp") and c not in _BIDI_CONTROLS
    ).strip()
    if len(kept) > _MAX_FILENAME_CHARACTERS:
        stem, dot, extension = kept.rpartition(".")
        end = dot + extension if stem and len(extension) <= 10 else ""
        kept = kept[: _MAX_FILENAME_CHARACTERS - len(end)] + end
    return kept or "audio"
