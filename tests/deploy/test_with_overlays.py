"""The files laid over compose.yaml, up: older ports and their habits, and GPUs reserved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from deployment import Deployment
from spoken import draw_clips

pytestmark = [pytest.mark.deploy, pytest.mark.main_job]

OLDER_PORTS = (5000, 5050, 8000, 8001, 8002, 8080, 8496, 8799)


@pytest.fixture(scope="module")
def overlaid(sandbox: None, site: Deployment) -> Iterator[Deployment]:
    """The site with GPUs and older ports; a sandbox has these ports, somebody's machine may not."""
    alone = site.files
    site.files = ("compose.yaml", "compose.gpu.yaml", "compose.ports.yaml")
    site.up(n_workers=2)
    yield site
    site.compose("down", "--timeout", "2")
    site.files = alone


def test_an_older_client_gets_its_text_without_a_password_in_one_answer(
    overlaid: Deployment, hear: Callable[[Path], str], tmp_path: Path
) -> None:
    [clip] = draw_clips(tmp_path, 1, seed=3000)
    answer = httpx2.post(
        "http://127.0.0.1:8496/transcribe/file",
        files={"file": ("speech.wav", clip.path.read_bytes())},
        data={"timestamps": "true"},
        timeout=120,
    )

    assert answer.status_code == 200, answer.text
    assert answer.json()["text"] == hear(clip.path)
    assert answer.json()["segments"][0]["start"] >= 0


def test_every_older_port_leads_to_the_same_gateway(overlaid: Deployment) -> None:
    answers = [httpx2.get(f"http://127.0.0.1:{port}/health") for port in OLDER_PORTS]

    assert [answer.status_code for answer in answers] == [200] * len(OLDER_PORTS)


def test_a_caller_without_a_password_can_claim_no_name(overlaid: Deployment) -> None:
    claimed = {"X-Remote-User": "longhand"}
    listed = httpx2.get("http://127.0.0.1:8496/jobs", headers=claimed).json()["jobs"]
    by_password = httpx2.get("http://127.0.0.1:8496/jobs", auth=("longhand", "wrong")).json()

    assert [job["job_id"] for job in listed] == [job["job_id"] for job in by_password["jobs"]]
    theirs = overlaid.client().get("/jobs").json()["jobs"]
    assert {job["job_id"] for job in theirs}.isdisjoint(job["job_id"] for job in listed)


def test_the_reservation_of_every_gpu_is_taken(overlaid: Deployment) -> None:
    workers = overlaid.inspect("worker")

    assert len(workers) == 2
    for worker in workers:
        [wanted] = worker["HostConfig"]["DeviceRequests"]
        assert (wanted["Driver"], wanted["Count"]) == ("nvidia", -1)
        assert wanted["Capabilities"] == [["gpu"]]
        assert worker["State"]["Health"]["Status"] == "healthy"
