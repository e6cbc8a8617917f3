"""The few requests that the demo sends to a gateway on this machine."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlencode

_TIMEOUT_S = 120


class RequestRefused(Exception):
    """The gateway answered with an error; the message is the gateway's."""


class GatewayCalls:
    """A gateway on 127.0.0.1; proxies in the environment are not used."""

    def __init__(self, port: int) -> None:
        self._port = port

    def upload(self, audio: Path, *, diarize: bool = False) -> str:
        """
        Submit a file.

        Args:
            diarize: Whether to find out who speaks. Words are timed by Whisper then, since an
                alignment model might have to be fetched first.

        Returns:
            The id of the job.
        """
        fields = {"ext": audio.suffix.lstrip(".")} if audio.suffix else {}
        query = urlencode(fields | ({"diarize": "true", "align": "false"} if diarize else {}))
        with audio.open("rb") as body:
            headers = {"Content-Length": str(audio.stat().st_size)}
            answer = self._ask("POST", f"/transcribe/binary?{query}", body, headers)
        return str(json.loads(answer)["job_id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """The record of the job."""
        record: dict[str, Any] = json.loads(self._ask("GET", f"/jobs/{job_id}"))
        return record

    def result(self, job_id: str, format_name: str) -> bytes:
        """The transcript in a format."""
        return self._ask("GET", f"/jobs/{job_id}/result?{urlencode({'format': format_name})}")

    def _ask(
        self,
        method: str,
        target: str,
        body: BinaryIO | None = None,
        headers: dict[str, str] | None = None,
    ) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT_S)
        try:
            connection.request(method, target, body, headers or {})
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            raise RequestRefused(_message(answer, response.status))
        return answer


def _message(answer: bytes, status: int) -> str:
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, TypeError, KeyError):
        return f"the gateway answered {status}"
