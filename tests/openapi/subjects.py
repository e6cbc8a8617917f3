"""What a request has to be about, made anew on the site: jobs, and uploads in parts."""

from __future__ import annotations

import sys
from pathlib import Path

from httpx2 import Client

sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))

import clips  # noqa: E402

PART_TYPE = "application/offset+octet-stream"
UPLOAD_BYTES = 1_000_000
"""Of an upload that is not whole: more than any part that is sent."""


class Subjects:
    """Makes them, as the holder of a key."""

    def __init__(self, url: str, key: str) -> None:
        self._http = Client(base_url=url, timeout=60, headers={"X-API-Key": key})

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def job(self, audio: bytes = clips.wav(1.0)) -> str:
        """A job that shares its run with no other."""
        answer = self._http.post(
            "/transcribe/binary", params={"cache": "false", "ext": "wav"}, content=audio
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def cancelled_job(self) -> str:
        """A job that may be tried again."""
        job_id = self.job(clips.wav(30.0))  # long enough not to have ended by now
        answer = self._http.post(f"/jobs/{job_id}/cancel")
        assert answer.json()["status"] == "cancelled", answer.text
        return job_id

    def status(self, job_id: str) -> str:
        """How a job stands."""
        return str(self._http.get(f"/jobs/{job_id}").json()["status"])

    def upload(self, *, is_whole: bool) -> str:
        """An upload in parts: all of a clip, or nothing of it yet."""
        audio = clips.wav(1.0)
        version = {"Tus-Resumable": "1.0.0"}
        length = {"Upload-Length": str(len(audio) if is_whole else UPLOAD_BYTES)}
        made = self._http.post("/uploads", headers=version | length)
        assert made.status_code == 201, made.text
        if is_whole:
            part = {"Upload-Offset": "0", "Content-Type": PART_TYPE}
            added = self._http.patch(
                made.headers["Location"], headers=version | part, content=audio
            )
            assert added.status_code == 204, added.text
        return str(made.json()["upload"])
