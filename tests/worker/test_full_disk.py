"""A worker whose result finds no room: the job says so, and the next is done once there is."""

from __future__ import annotations

import pytest
from httpx2 import Client
from small_disk import fill, small_disk
from waiting import wait_until

from shared.settings import CHECKOUT

pytestmark = pytest.mark.main_job

DEMO = CHECKOUT / "samples" / "demo.wav"


def test_a_result_without_room_fails_its_job_and_no_other(open_site, tmp_path):
    with small_disk(tmp_path / "disk", 8_000_000) as disk:
        site = open_site(n_workers=0, env={"LONGHAND_STORAGE_DIR": str(disk)})
        first = site.stack.start_worker()
        done = send(site.http, 200, wait="true")
        site.stack.kill(first)
        waiting = send(site.http, 202)
        hog = fill(disk)
        site.stack.start_worker()
        failed = wait_until(lambda: ended(site.http, waiting["job_id"]), 120)
        files = sorted(p.name for p in disk.glob("jobs/*/*/*"))
        kept = site.http.get(f"/jobs/{done['job_id']}/result").json()
        full = site.http.post("/transcribe/binary", content=DEMO.read_bytes())
        hog.unlink()
        again = send(site.http, 200, wait="true")

    assert (failed["status"], failed["error"]["code"]) == ("failed", "storage_full")
    assert files == ["result.json"]
    assert (kept["text"], again["text"]) == (done["text"], done["text"])
    assert (full.status_code, full.json()["code"]) == (507, "storage_full")


def send(http: Client, status: int, **fields: str) -> dict:
    """Upload a clip, to be transcribed anew."""
    with DEMO.open("rb") as file:
        answer = http.post(
            "/transcribe/file", files={"file": file}, data={"cache": "false", **fields}
        )
    assert answer.status_code == status, answer.text
    return answer.json()


def ended(http: Client, job_id: str) -> dict | None:
    job = http.get(f"/jobs/{job_id}").json()
    return job if job["status"] in ("succeeded", "failed") else None
