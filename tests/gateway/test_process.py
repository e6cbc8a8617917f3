"""`python -m gateway`: what it holds, when it stops, what it says of wrong settings."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import clips
import pytest
from gateway_process import GatewayProcess, call, metric
from waiting import wait_until
from work import succeed

from gateway.services import Services
from shared.settings import CHECKOUT

StartGateway = Callable[..., GatewayProcess]


_MIB = 1 << 20


def waiting_upload(gateway: GatewayProcess, answers: list[int]) -> threading.Thread:
    """A caller that waits for its job; its status goes to `answers`."""

    def run() -> None:
        path = "/transcribe/binary?wait=100&cache=false"
        answers.append(call(gateway, "POST", path, clips.wav())[0])

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def waiting_question(gateway: GatewayProcess, job_id: str) -> threading.Thread:
    """A caller that asks when a job changes, which holds a slot and a thread."""
    path = f"/jobs/{job_id}?wait=100"
    thread = threading.Thread(target=lambda: call(gateway, "GET", path))
    thread.start()
    return thread


def takes_slot(gateway: GatewayProcess, job_id: str) -> bool:
    """Whether a question finds a slot to wait in."""
    headers = {"Prefer": "wait=1"}
    answered = call(gateway, "GET", f"/jobs/{job_id}", headers=headers)[2]
    return "Preference-Applied" in answered


def n_held(gateway: GatewayProcess) -> int:
    """How many slots are taken."""
    return metric(gateway, "longhand_waiting_slots_used")


@pytest.mark.promise("S0-27")
def test_health_answers_while_every_waiting_slot_is_taken(
    start_gateway: StartGateway, services: Services
) -> None:
    gateway = start_gateway(threads=4, waiting_slots=3)
    job_id = str(call(gateway, "POST", "/transcribe/binary", clips.wav(0.2))[1]["job_id"])
    asking = [waiting_question(gateway, job_id) for _ in range(3)]
    wait_until(lambda: n_held(gateway) == 3, 60, "no slot left")

    status, health, _ = call(gateway, "GET", "/health")

    assert (status, health["ready"]) == (200, True)
    assert not takes_slot(gateway, job_id)
    succeed(services, job_id)
    for thread in asking:
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.promise("S4-26")
def test_a_connection_is_kept_open_for_the_next_request(start_gateway: StartGateway) -> None:
    connection = http.client.HTTPConnection(*start_gateway().address, timeout=20)
    statuses, sockets = [], set()
    for method, path, body in (
        ("POST", "/transcribe/binary", clips.wav(0.2)),
        ("GET", "/nothing", None),
        ("GET", "/health", None),
    ):
        connection.request(method, path, body)
        with connection.getresponse() as response:
            response.read()
        statuses.append(response.status)
        sockets.add(connection.sock)
    connection.close()

    assert statuses == [202, 404, 200]
    assert len(sockets) == 1 and None not in sockets


def test_a_caller_that_hangs_up_gives_its_slot_back(start_gateway: StartGateway) -> None:
    gateway = start_gateway(waiting_slots=1)
    job_id = str(call(gateway, "POST", "/transcribe/binary", clips.wav(0.2))[1]["job_id"])
    connection = http.client.HTTPConnection(*gateway.address, timeout=20)
    connection.request("GET", f"/jobs/{job_id}?wait=500")
    wait_until(lambda: n_held(gateway) == 1, 60, "no slot left")

    connection.close()

    wait_until(lambda: n_held(gateway) == 0, 60, "a free slot")
    assert takes_slot(gateway, job_id)


def test_sigterm_answers_who_waits_and_ends_cleanly(
    start_gateway: StartGateway, services: Services
) -> None:
    gateway = start_gateway()
    answers: list[int] = []
    waiting = waiting_upload(gateway, answers)
    wait_until(lambda: services.jobs.figures.counts()["queued"] == 1, 30, "the job")

    status = gateway.stop()

    waiting.join(20)
    assert (status, answers) == (0, [202])
    assert "Traceback" not in gateway.log.read_text()


def test_old_bodies_are_cleared_away_at_the_start(
    start_gateway: StartGateway, storage_dir: Path, stored_files: Callable[[], list[str]]
) -> None:
    (storage_dir / ".spool").mkdir()
    (storage_dir / ".spool" / "tmpabc").write_bytes(b"left by a crash")

    start_gateway()

    assert stored_files() == []


def test_without_redis_it_lives_but_is_not_ready(
    start_gateway: StartGateway, stored_files: Callable[[], list[str]]
) -> None:
    gateway = start_gateway(redis_url="redis://127.0.0.1:1/0")

    live = call(gateway, "GET", "/health/live")
    health = call(gateway, "GET", "/health")
    ready = call(gateway, "GET", "/health/ready")
    upload = call(gateway, "POST", "/transcribe/binary", clips.wav(0.2))

    assert (live[0], health[0], ready[0], upload[0]) == (200, 200, 503, 503)
    assert (health[1]["status"], health[1]["redis"]) == ("degraded", "unreachable")
    assert ready[1]["code"] == "not_ready"
    assert (upload[1]["code"], upload[2]["Retry-After"]) == ("busy", "5")
    assert stored_files() == []


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("LONGHAND_THREADS", "many", "LONGHAND_THREADS is 'many'; it must be a whole number"),
        ("LONGHAND_THREADS", "1", "LONGHAND_THREADS is 1; it must be at least 2"),
        ("LONGHAND_WAITING_SLOTS", "64", "it must be less than LONGHAND_THREADS (64)"),
        ("LONGHAND_DEFAULT_WAIT_S", "15000", "it must be at most LONGHAND_MAX_WAIT_S (14400)"),
        ("LONGHAND_PORT", "99999", "LONGHAND_PORT is 99999; it must be at most 65535"),
        ("LONGHAND_MAX_AUDIO_BYTES", "5GB", "LONGHAND_MAX_AUDIO_BYTES is '5GB'; it must be a"),
        ("LONGHAND_LOG_LEVEL", "loud", "LONGHAND_LOG_LEVEL is 'loud'; it must be 'debug', "),
        ("LONGHAND_MODEL_ALIASES", "base", "LONGHAND_MODEL_ALIASES: 'base' is not `alias=model`"),
        ("LONGHAND_DEFAULT_MODEL", "../x", "LONGHAND_DEFAULT_MODEL is '../x', which is no model"),
    ],
)
def test_a_wrong_setting_is_named_by_its_variable(variable: str, value: str, said: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "gateway"],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"], variable: value},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_gateway_imports_neither_models_nor_arrays_nor_decoders(
    redis_url: str, storage_dir: Path
) -> None:
    program = """
import sys
from gateway.__main__ import create_app
from gateway.settings import GatewaySettings
app = create_app(GatewaySettings(redis_url=sys.argv[1], storage_dir=sys.argv[2]))
answer = app.test_client().post("/transcribe/binary", data=open(sys.argv[3], "rb").read())
assert answer.status_code == 202, answer.text
heavy = {"torch", "numpy", "worker", "av", "ctranslate2", "onnxruntime"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""
    clip = storage_dir / "clip.wav"
    clip.write_bytes(clips.wav(0.2))

    ended = subprocess.run(
        [sys.executable, "-c", program, redis_url, str(storage_dir), str(clip)],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ended.stdout.strip() == "[]", ended.stderr


@pytest.fixture
def long_wav(tmp_path: Path) -> Path:
    """300 MB of silence, which take no room on the disk."""
    n_bytes = 300_000_000
    header = bytearray(clips.wav(0.0))
    header[4:8] = (n_bytes - 8).to_bytes(4, "little")
    header[40:44] = (n_bytes - 44).to_bytes(4, "little")
    path = tmp_path / "long.wav"
    with path.open("wb") as out:
        out.write(header)
        out.truncate(n_bytes)
    return path


@pytest.mark.parametrize("route", ["binary", "file"])
def test_memory_stays_small_through_an_upload_of_300_mb(
    start_gateway: StartGateway, long_wav: Path, route: str
) -> None:
    gateway = start_gateway(max_audio_bytes=300_000_000)
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    head, tail = (head, b"\r\n--x--\r\n") if route == "file" else (b"", b"")

    def body() -> Iterator[bytes]:
        yield head
        with long_wav.open("rb") as file:
            while piece := file.read(_MIB):
                yield piece
        yield tail

    n_bytes = len(head) + long_wav.stat().st_size + len(tail)
    headers = {"Content-Length": str(n_bytes)}
    if route == "file":
        headers["Content-Type"] = "multipart/form-data; boundary=x"
    status, accepted, _ = call(gateway, "POST", f"/transcribe/{route}", body(), headers)

    assert status == 202
    job = call(gateway, "GET", f"/jobs/{accepted['job_id']}")[1]
    assert (job["n_bytes"], job["duration"]) == (300_000_000, pytest.approx(9375, abs=1))
    assert gateway.peak_rss_bytes() < 120 * _MIB
