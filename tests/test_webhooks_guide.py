"""The receiver that docs/webhooks.md shows takes what is signed and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime

import httpx2
import pytest
from source_code import ROOT
from standardwebhooks import Webhook
from waiting import wait_until

from cli.redis_server import free_port

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"type": "job.succeeded", "data": {"job_id": "0f"}}'


@pytest.fixture
def receiver():
    """The program as it is printed, running; its URL and itself."""
    guide = (ROOT / "docs/webhooks.md").read_text(encoding="utf-8")
    [program] = re.findall(r"^```python\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    port = free_port()
    started = subprocess.Popen(
        [sys.executable, "-c", program],
        env=os.environ | {"LONGHAND_WEBHOOK_SECRET": SECRET, "PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    url = f"http://127.0.0.1:{port}/"
    with started as child:
        try:
            wait_until(lambda: answers(url), 20, "the receiver listens")
            yield url, child
        finally:
            child.kill()


def answers(url):
    try:
        return httpx2.get(url).status_code
    except httpx2.TransportError:
        return None


def test_the_receiver_of_the_guide_takes_a_signed_message_once(receiver):
    url, child = receiver
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "0f-1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("0f-1", now, BODY),
    }
    forged = headers | {"webhook-signature": "v1,Zm9yZ2Vk"}
    sent = [httpx2.post(url, content=BODY, headers=h) for h in (forged, headers, headers)]
    child.terminate()
    printed = child.stdout.read()

    assert [answer.status_code for answer in sent] == [401, 204, 204]
    assert printed == "job.succeeded 0f\n"
