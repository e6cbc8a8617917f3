"""What a gateway in this process works with, opened without what costs each test anew."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from gateway.app import open_services
from gateway.reading.probe import AudioFacts, Probe
from gateway.services import Services
from gateway.settings import GatewaySettings


class RememberingProbe(Probe):
    """A probe that starts no second process for a file that it looked into in an earlier test."""

    _known: ClassVar[dict[tuple[object, ...], AudioFacts]] = {}

    def __call__(self, path: Path) -> AudioFacts:
        """See `Probe.__call__`."""
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        key = content, path.suffix, self._timeout_s, self._memory_bytes
        if key not in self._known:
            self._known[key] = super().__call__(path)
        return self._known[key]


def open_quickly(settings: GatewaySettings) -> Services:
    """The same as `open_services`; the system's certificates, which no test needs, are not read."""
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = os.devnull
    try:
        services = open_services(settings)
    finally:
        del os.environ["SSL_CERT_FILE"]
        if before is not None:
            os.environ["SSL_CERT_FILE"] = before
    probe = RememberingProbe(
        timeout_s=settings.probe_timeout_s,
        memory_bytes=settings.probe_memory_bytes,
        n_at_once=settings.probes_at_once,
    )
    return replace(services, probe=probe)
