"""Every route as it is documented, by requests that schemathesis makes up: `make test-openapi`."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from httpx2 import Client
from waiting import wait_until

from cli.stack import Stack
from gateway.access.keys import add_key
from shared.settings import CHECKOUT

SETTINGS = {
    "LONGHAND_AUTH": "keys",
    "LONGHAND_ALLOWED_HOSTS": "127.0.0.1",  # a clip is fetched from this machine
    "LONGHAND_WEBHOOK_SECRET": "whsec_"
    + base64.b64encode(b"for tests, and for nothing else").decode(),
    "LONGHAND_MAX_WAIT_S": "30",
    "LONGHAND_DEFAULT_WAIT_S": "0",
}


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and prints nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def clip_url(tmp_path: Path) -> Iterator[str]:
    """Where a clip lies, for those who name it instead of sending it."""
    (tmp_path / "clip.wav").write_bytes((CHECKOUT / "samples" / "demo.wav").read_bytes())
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *args: Quiet(*args, directory=str(tmp_path))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/clip.wav"
    server.shutdown()
    server.server_close()


def make_jobs(url: str, key: str) -> list[str]:
    """Jobs that are there to be asked for."""
    with Client(base_url=url, timeout=60, headers={"X-API-Key": key}) as http:
        jobs = []
        for _ in range(2):
            with (CHECKOUT / "samples" / "demo.wav").open("rb") as audio:
                form = {"cache": "false"}
                answer = http.post("/transcribe/file", files={"file": audio}, data=form)
            assert answer.status_code == 202, answer.text
            jobs.append(answer.json()["job_id"])
        wait_until(
            lambda: http.get(f"/jobs/{jobs[0]}").json()["status"] == "succeeded", 60, "a job ends"
        )
    return jobs


def upload_in_parts(url: str, key: str) -> str:
    """The id of a finished resumable upload."""
    audio = (CHECKOUT / "samples" / "demo.wav").read_bytes()
    headers = {"X-API-Key": key, "Tus-Resumable": "1.0.0"}
    with Client(base_url=url, timeout=60, headers=headers) as http:
        made = http.post("/uploads", headers={"Upload-Length": str(len(audio))})
        assert made.status_code == 201, made.text
        part = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        added = http.patch(made.headers["Location"], headers=part, content=audio)
        assert added.status_code == 204, added.text
        return str(made.json()["upload"])


@pytest.mark.openapi
def test_every_answer_is_as_documented(
    start_stack: Callable[..., Stack], clip_url: str, short_dir: Path
) -> None:
    keys = short_dir / "keys.json"
    key = add_key(keys, "schemathesis", role="admin")
    stack = start_stack(env=SETTINGS | {"LONGHAND_API_KEYS_FILE": str(keys)})
    site = {
        "jobs": make_jobs(stack.url, key),
        "upload": upload_in_parts(stack.url, key),
        "url": clip_url,
    }

    ran = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"{stack.url}/openapi.json",
            *os.environ.get("SCHEMATHESIS_ARGS", "").split(),
        ],
        cwd=CHECKOUT,
        env=os.environ
        | {
            "LONGHAND_TEST_SITE": json.dumps(site),
            "LONGHAND_TEST_KEY": key,
            "PYTHONPATH": str(CHECKOUT),
        },
        timeout=900,
    )

    stack.check()
    assert ran.returncode == 0
