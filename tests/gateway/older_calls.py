"""How callers of the older systems call, and a job that ends meanwhile."""

from __future__ import annotations

import io
from collections.abc import Callable

from flask.testing import FlaskClient
from werkzeug.test import TestResponse
from work import TRANSCRIPT, succeed

from gateway.services import Services
from shared.records import JobRecord
from shared.transcript import Transcript


def post(
    client: FlaskClient, path: str, audio: bytes, field: str = "file", **fields: str
) -> TestResponse:
    """Send audio as a form."""
    return client.post(path, data={**fields, field: (io.BytesIO(audio), "会议.wav")})


def ending(services: Services, transcript: Transcript = TRANSCRIPT) -> Callable[[JobRecord], None]:
    """What makes a job succeed."""
    return lambda record: succeed(services, record.id, transcript)
