"""A gateway as a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit


@dataclass
class GatewayProcess:
    """`python -m gateway`, as it runs."""

    child: subprocess.Popen[bytes]
    url: str
    storage_dir: Path
    log: Path

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        parts = urlsplit(self.url)
        assert parts.hostname and parts.port
        return parts.hostname, parts.port

    def spooled_bytes(self) -> list[int]:
        """The sizes of all bodies it has on disk and not yet in storage, named or not."""
        sizes = []
        for descriptor in Path(f"/proc/{self.child.pid}/fd").iterdir():
            try:
                if str(self.storage_dir / ".spool") in os.readlink(descriptor):
                    sizes.append(descriptor.stat().st_size)
            except FileNotFoundError:
                continue  # closed meanwhile
        return sizes

    def peak_rss_bytes(self) -> int:
        """The most memory it ever held."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def stop(self, deadline_s: float = 20) -> int:
        """Send SIGTERM and return its exit status."""
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(deadline_s)


def call(
    gateway: GatewayProcess,
    method: str,
    path: str,
    body: bytes | IO[bytes] | Iterator[bytes] | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, object], http.client.HTTPMessage]:
    """Make one request on a connection of its own."""
    connection = http.client.HTTPConnection(*gateway.address, timeout=120, blocksize=1 << 20)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"{}"), response.headers
    finally:
        connection.close()


def metric(gateway: GatewayProcess, name: str) -> int:
    """A number that it tells Prometheus, which has no labels."""
    connection = http.client.HTTPConnection(*gateway.address, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    [line] = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return int(float(line.split()[1]))
