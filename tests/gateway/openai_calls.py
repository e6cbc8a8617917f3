"""How OpenAI's clients call, and what they make of an answer."""

from __future__ import annotations

import io
from typing import Any

from flask.testing import FlaskClient
from pydantic import BaseModel
from werkzeug.test import TestResponse


def post(
    client: FlaskClient, audio: bytes, path: str = "/v1/audio/transcriptions", **fields: Any
) -> TestResponse:
    """Send audio as OpenAI's clients do; `[]` is written as `_list`."""
    form = {name.replace("_list", "[]"): value for name, value in fields.items()}
    return client.post(path, data=form | {"file": (io.BytesIO(audio), "talk.wav")})


def validate(value: Any, theirs: type[BaseModel], ours: type[BaseModel]) -> None:
    """Hold a value to OpenAI's model without any conversion, and to ours without any extra."""
    theirs.model_validate(value, strict=True)
    ours.model_validate(value, strict=True)
