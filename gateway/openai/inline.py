"""Audio within a JSON body: `{"input_audio": {"data": "<base64>", "format": "wav"}, …}`."""

from __future__ import annotations

import base64
import re
import threading
from typing import Any

from flask import request
from pydantic import BaseModel, Field

from gateway.openai.fields import OPENAI_LISTS
from gateway.reading.audio import AudioWriter, too_large
from gateway.reading.bodies import read_fields
from gateway.reading.forms import SentForm
from shared.errors import AudioTooLarge, AudioUnreadable, InvalidRequest
from shared.sizes import in_words

MOST_BYTES = 50_000_000
"""Most bytes of such a body, which is held in memory: 37 MB of audio. OpenAI takes 25 MB."""

_FIELD = "input_audio"
AUDIO_FIELD = f"{_FIELD}.data"
_DATA_URL = re.compile(r"data:[^,]{0,200},")
_FORMAT = re.compile(r"[A-Za-z0-9]{1,10}")
_in_memory = threading.BoundedSemaphore(2)
"""How many bodies are read at the same time: each takes three times its size in memory."""


class InputAudio(BaseModel):
    """Audio as text."""

    data: str = Field(description="The audio in base64 (RFC 4648); a `data:` URL is taken too.")
    format: str = Field("", description="Its format, such as `wav`; it is only a hint.")


class InlineFields(BaseModel):
    """What a JSON body holds beside the fields of the form."""

    input_audio: InputAudio = Field(description="The audio, in place of the form's `file`.")


def refuse_large_body() -> None:
    """Raise AudioTooLarge if the present request's JSON body is too large to be held in memory."""
    n_bytes = request.content_length or 0
    if n_bytes > MOST_BYTES:
        raise AudioTooLarge(
            f"the body is {in_words(n_bytes)}; audio within JSON may have {in_words(MOST_BYTES)}; "
            "send it as a multipart form",
            param=_FIELD,
        )


def receive_inline(writer: AudioWriter) -> SentForm:
    """
    Write the audio of the present request's JSON body, and return the rest of the body.

    Raises:
        AudioTooLarge: The audio is over the limit.
        AudioUnreadable: It is empty.
        InvalidRequest: The body holds no audio in base64.
    """
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
        writer.write(_decoded(sent.get("data"), writer.limit))
    return SentForm(fields, filename)


def _format_of(sent: dict[str, Any]) -> str:
    named = sent.get("format")
    if named is None:
        return ""
    if not isinstance(named, str) or not _FORMAT.fullmatch(named):
        raise InvalidRequest(
            f"{_FIELD}.format has to be a word of at most 10 letters, as wav",
            param=f"{_FIELD}.format",
        )
    return named.lower()


def _decoded(data: object, limit: int) -> bytes:
    if not isinstance(data, str):
        raise InvalidRequest(
            f"{AUDIO_FIELD} is missing; it is the audio in base64", param=AUDIO_FIELD
        )
    if found := _DATA_URL.match(data):
        data = data[found.end() :]
    text = "".join(data.split())
    n_bytes = len(text) // 4 * 3 - text[-2:].count("=")
    if n_bytes > limit:  # before it is decoded
        raise too_large(n_bytes, limit)
    try:
        audio = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise InvalidRequest(f"{AUDIO_FIELD} is not base64", param=AUDIO_FIELD) from error
    if not audio:
        raise AudioUnreadable(f"{AUDIO_FIELD} is empty")
    return audio
