"""Audio within a JSON body: `{"input_audio": {"data": "<base64>", "format": "wav"}, …}`."""

from __future__ import annotations

import base64
import binascii
import re
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, Field

from gateway.openai.fields import OPENAI_LISTS
from gateway.reading.audio import AudioWriter, too_large
from gateway.reading.bodies import read_fields
from gateway.reading.fields import Fields
from shared.errors import AudioTooLarge, AudioUnreadable, InvalidRequest
from shared.sizes import in_words

MOST_BYTES = 50_000_000
"""Of such a body, which is held in memory: 37 MB of audio; OpenAI takes 25."""

_FIELD = "input_audio"
_DATA_URL = re.compile(r"data:[^,]{0,200},")
_FORMAT = re.compile(r"[A-Za-z0-9]{1,10}")
_in_memory = threading.BoundedSemaphore(2)
"""Bodies that are read at a time: each takes three times its size."""

T = TypeVar("T")


class InputAudio(BaseModel):
    """Audio as text."""

    data: str = Field(description="The audio in base64 (RFC 4648); a `data:` URL is taken too.")
    format: str = Field("", description="What it is, as `wav`; the audio itself decides.")


class InlineFields(BaseModel):
    """What a JSON body holds beside the fields of the form."""

    input_audio: InputAudio = Field(description="The audio, in place of the form's `file`.")


def receive_inline(writer: AudioWriter, limit: int, read: Callable[[Fields, str], T]) -> T:
    """
    Write the audio of the present request's JSON body.

    Args:
        limit: The most bytes of audio.
        read: Makes something of the other fields, and a filename.

    Raises:
        AudioTooLarge: The body or the audio is over its limit.
        InvalidRequest: It holds no audio in base64, or `read` raises it.
    """
    if (request.content_length or 0) > MOST_BYTES:
        raise AudioTooLarge(
            f"the body is {in_words(request.content_length or 0)}; audio within JSON may have "
            f"{in_words(MOST_BYTES)}; send it as a multipart form",
            param=_FIELD,
        )
    with _in_memory:
        fields = read_fields(lists=OPENAI_LISTS, most_bytes=MOST_BYTES)
        sent = fields.pop(_FIELD, None)
        if not isinstance(sent, dict):
            raise InvalidRequest(
                f'no audio was sent; send it as {_FIELD}: {{"data": "<base64>", "format": "wav"}}, '
                "or as a multipart form",
                param=_FIELD,
            )
        filename = f"audio.{_format_of(sent)}".rstrip(".")
        made = read(fields, filename)
        writer.param = f"{_FIELD}.data"
        writer.write(_decoded(sent.get("data"), limit))
        return made


def _format_of(sent: dict[str, Any]) -> str:
    told = sent.get("format")
    if told is None:
        return ""
    if not isinstance(told, str) or not _FORMAT.fullmatch(told):
        raise InvalidRequest(
            f"{_FIELD}.format has to be a word of at most 10 letters, as wav",
            param=f"{_FIELD}.format",
        )
    return told.lower()


def _decoded(data: object, limit: int) -> bytes:
    param = f"{_FIELD}.data"
    if not isinstance(data, str):
        raise InvalidRequest(f"{param} is missing; it is the audio in base64", param=param)
    if found := _DATA_URL.match(data):
        data = data[found.end() :]
    text = "".join(data.split())
    n_bytes = len(text) // 4 * 3 - text[-2:].count("=")
    if n_bytes > limit:  # before it is decoded
        error = too_large(n_bytes, limit)
        error.param = param
        raise error
    try:
        audio = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"{param} is not base64", param=param) from error
    if not audio:
        raise AudioUnreadable(f"{param} is empty", param=param)
    return audio
