"""The bytes of a recording as they come: counted, hashed and cut at the limit."""

from __future__ import annotations

import hashlib
import unicodedata
from shutil import copyfileobj
from typing import BinaryIO

from flask import request

from shared.errors import AudioTooLarge, InvalidRequest
from shared.sizes import in_words

NO_BODY = "no audio was sent; the body is to be the audio (curl: --data-binary @talk.mp3)"
_MAX_FILENAME_CHARACTERS = 255
_BIDI_CONTROLS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


class AudioWriter:
    """
    Writes a recording, counting and hashing it.

    Args:
        out: Where the bytes go.
        limit: The most bytes that are taken, by the operator's setting.

    Attributes:
        n_bytes: How many were written so far.
    """

    def __init__(self, out: BinaryIO, limit: int) -> None:
        self._out = out
        self._sha256 = hashlib.sha256()
        self.limit = limit
        self.n_bytes = 0

    def write(self, data: bytes | bytearray) -> None:
        """
        Add to the recording.

        Raises:
            AudioTooLarge: It has grown over the limit.
        """
        self.n_bytes += len(data)
        if self.n_bytes > self.limit:
            raise too_large(None, self.limit)
        self._sha256.update(data)
        self._out.write(data)

    @property
    def sha256(self) -> str:
        """The hash of all that was written, in hexadecimal digits."""
        return self._sha256.hexdigest()


def copy_body(writer: AudioWriter) -> None:
    """
    Write the present request's body, which is the audio and nothing else.

    Raises:
        AudioTooLarge: It is over the limit.
        InvalidRequest: There is no body.
    """
    if (request.content_length or 0) > writer.limit:
        raise too_large(request.content_length, writer.limit)
    copyfileobj(request.stream, writer)
    if not writer.n_bytes:
        raise InvalidRequest(NO_BODY)


def too_large(n_bytes: int | None, limit: int) -> AudioTooLarge:
    """
    The error of a recording over the limit.

    Args:
        n_bytes: Its size; None if that is not known.

    >>> str(too_large(2_100_000_000, 500_000_000))
    'the upload is 2.1 GB; the limit is 500 MB (LONGHAND_MAX_AUDIO_BYTES)'
    """
    size = in_words(n_bytes) if n_bytes else "larger than allowed"
    return AudioTooLarge(
        f"the upload is {size}; the limit is {in_words(limit)} (LONGHAND_MAX_AUDIO_BYTES)",
        param="file",
    )


def clean_filename(name: str) -> str:
    """
    A caller's filename without folders and control characters, at most 255 characters long.

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
