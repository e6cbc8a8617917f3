"""A full disk: 507, nothing half-written, and jobs that are there go on."""

from __future__ import annotations

import io
import os

import clips
import httpx2
import pytest
from small_disk import small_disk
from waiting import wait_until
from web_hosts import running

from gateway.outward.downloads import Downloader
from gateway.reading.audio import AudioWriter
from gateway.settings import GatewaySettings
from shared.errors import StorageFull
from shared.jobs import Jobs
from shared.storage import open_storage

DISK_BYTES = 2_000_000


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", DISK_BYTES) as path:
        yield path


@pytest.fixture
def full_site(disk, start_gateway, services):
    """A gateway whose storage is that disk, and the jobs it makes."""
    gateway = start_gateway(storage_dir=disk)
    storage = open_storage(disk)
    jobs = Jobs(services.redis, storage, lease_s=30, max_attempts=3)
    with httpx2.Client(base_url=gateway.url, timeout=60) as http:
        yield http, jobs, storage


def free_bytes(disk):
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def files_below(disk):
    return sorted(str(p.relative_to(disk)) for p in disk.rglob("*") if p.is_file())


def send_form(http, audio):
    return http.post("/transcribe/file", files={"file": ("a.wav", audio)})


def send_raw(http, audio):
    return http.post("/transcribe/binary", content=audio)


def send_in_chunks(http, audio):
    parts = (audio[at : at + 65536] for at in range(0, len(audio), 65536))
    return http.post("/transcribe/binary", content=parts)


@pytest.mark.parametrize("send", [send_form, send_raw, send_in_chunks])
@pytest.mark.parametrize(
    ("n_bytes", "where"),
    [(3_000_000, "while the body arrives"), (1_400_000, "when it is stored beside that")],
)
def test_an_upload_without_room_is_507_and_leaves_nothing(
    full_site, disk, speech, send, n_bytes, where
):
    http, jobs, storage = full_site
    before = send_form(http, speech).json()["job_id"]
    files, n_free = files_below(disk), free_bytes(disk)
    audio = speech + bytes(n_bytes - len(speech))
    answer = send(http, audio)

    assert (answer.status_code, answer.json()["code"]) == (507, "storage_full"), where
    assert "LONGHAND_STORAGE_DIR" in answer.json()["error"]
    assert files_below(disk) == files
    wait_until(lambda: free_bytes(disk) == n_free, 10, "what had arrived is let go")
    assert storage.read(jobs.get(before).audio.key) == speech
    assert send(http, clips.wav(0.4)).status_code == 202


def test_a_download_without_room_leaves_nothing(disk):
    storage = open_storage(disk)
    downloads = Downloader(GatewaySettings(allowed_hosts="127.0.0.1"))
    n_free = free_bytes(disk)
    with (
        running(lambda request, reply: reply.give(bytes(3_000_000))) as host,
        pytest.raises(StorageFull),
        storage.create("jobs/1/audio") as out,
    ):
        downloads.fetch(f"http://127.0.0.1:{host.port}/", AudioWriter(out, 10_000_000))

    assert (files_below(disk), free_bytes(disk)) == ([], n_free)
    with running(lambda request, reply: reply.give(b"audio")) as host:
        kept = io.BytesIO()
        downloads.fetch(f"http://127.0.0.1:{host.port}/", AudioWriter(kept, 100))
    assert kept.getvalue() == b"audio"


def test_a_url_whose_audio_finds_no_room_is_507(disk, start_gateway):
    gateway = start_gateway(storage_dir=disk, allowed_hosts="127.0.0.1")
    files = files_below(disk)
    with running(lambda request, reply: reply.give(bytes(3_000_000))) as host:
        url = f"http://127.0.0.1:{host.port}/talk.wav"
        answer = httpx2.post(f"{gateway.url}/transcribe/url", json={"url": url}, timeout=60)

    assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
    assert files_below(disk) == files
