"""Every route as it is documented, by requests that schemathesis makes up: `make test-openapi`."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from random_whisper import add_tiny
from subjects import Subjects
from waiting import wait_until

from cli.stack import Stack
from gateway.access.keys import add_key
from shared.settings import CHECKOUT

SETTINGS = {
    "LONGHAND_AUTH": "keys",
    "LONGHAND_ALLOWED_HOSTS": "127.0.0.1",  # a clip is fetched from this machine
    "LONGHAND_WEBHOOK_SECRET": "whsec_"
    + base64.b64encode(b"for tests, and for nothing else").decode(),
    "LONGHAND_MAX_WAIT_S": "240",  # for a machine with much else to do
    "LONGHAND_DEFAULT_WAIT_S": "0",
    "LONGHAND_MAX_UPLOADS": "10000",
    "LONGHAND_DIARIZATION_MODEL": "demo-diarization",  # of every model, not of demo alone
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


@pytest.mark.openapi
def test_every_answer_is_as_documented(
    start_stack: Callable[..., Stack], clip_url: str, short_dir: Path, tmp_path: Path
) -> None:
    keys = short_dir / "keys.json"
    key = add_key(keys, "schemathesis", role="admin")
    own = {"LONGHAND_API_KEYS_FILE": str(keys), "LONGHAND_MODELS_DIR": str(add_tiny(tmp_path))}
    stack = start_stack(env=SETTINGS | own)
    with closing(Subjects(stack.url, key)) as subjects:
        jobs = [subjects.job() for _ in range(2)]
        wait_until(lambda: {*map(subjects.status, jobs)} == {"succeeded"}, 60, "the jobs' ends")
    site = {"api": stack.url, "jobs": jobs, "url": clip_url}

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
        timeout=1800,
    )

    stack.check()
    assert ran.returncode == 0
