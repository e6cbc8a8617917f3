"""Downloads for tests that are not about downloading."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from gateway.app import create_app
from gateway.reading.audio import AudioWriter
from gateway.services import Services
from shared.errors import AudioUnreachable


class Shelf:
    """Downloads from where nothing is far away."""

    def __init__(self, audio: bytes) -> None:
        self._audio = audio

    def fetch(self, url: str, writer: AudioWriter) -> str:
        """Write what stands there."""
        if not url.endswith(".wav"):
            raise AudioUnreachable("the URL answered 404", param="url")
        writer.write(self._audio)
        return url.rpartition("/")[2]


@pytest.fixture
def fetching(services: Services, speech: bytes) -> FlaskClient:
    """A client of a gateway whose downloads come from a shelf."""
    app = create_app(services.settings, services=replace(services, downloads=Shelf(speech)))
    return app.test_client()
