"""A full queue and taken waiting slots: new callers get an error immediately; reading works."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from gateway_process import GatewayProcess, call, metric
from httpx2 import Client
from waiting import wait_until

from gateway.app import create_app
from gateway.openapi.documented import documentation_of
from gateway.server.channel import makes_job
from gateway.services import Services

StartGateway = Callable[..., GatewayProcess]
N_SLOTS = 24


@pytest.fixture
def full(start_gateway: StartGateway, speech: bytes) -> Iterator[tuple[GatewayProcess, Client]]:
    """A gateway whose queue holds one job, which is there."""
    gateway = start_gateway(max_queued=1)
    with Client(base_url=gateway.url, timeout=30) as http:
        assert http.post("/transcribe/binary", content=speech).status_code == 202
        wait_until(lambda: http.post("/jobs/x/retry").status_code == 503, 20, "a full queue")
        yield gateway, http


def test_a_full_queue_refuses_new_jobs_from_the_header(
    full: tuple[GatewayProcess, Client], speech: bytes
) -> None:
    gateway, http = full
    for path in (
        "/transcribe/file", "/transcribe/binary", "/transcribe/url", "/transcribe/batch",
        "/transcribe/upload", "/v1/audio/transcriptions", "/recognise", "/jobs/1/retry",
    ):  # fmt: skip
        response = http.post(path, content=speech)
        with socket.create_connection(gateway.address, timeout=20) as connection:
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 400000000\r\n\r\n"
            connection.sendall(head.encode())
            first_line = connection.recv(100)

        told = response.json()["error"]
        message = told["message"] if isinstance(told, dict) else told
        assert response.status_code == 503, path
        assert int(response.headers["retry-after"]) > 0, path
        assert "LONGHAND_MAX_QUEUED" in message, path
        assert first_line.startswith(b"HTTP/1.1 503 "), path
        assert gateway.spooled_bytes() == [], path


def test_what_reads_goes_on_while_the_queue_is_full_and_room_is_seen(
    full: tuple[GatewayProcess, Client], speech: bytes
) -> None:
    _, http = full
    jobs = http.get("/jobs").json()["jobs"]

    assert http.get("/health").status_code == 200
    assert http.get(f"/jobs/{jobs[0]['job_id']}").status_code == 200
    assert http.delete(f"/jobs/{jobs[0]['job_id']}").status_code == 200
    wait_until(
        lambda: http.post("/transcribe/binary", content=speech).status_code == 202, 20, "room"
    )


def test_every_route_that_takes_audio_is_held_by_the_queue(services: Services) -> None:
    app = create_app(services.settings, services=services)
    open_to_all = []
    for rule in app.url_map.iter_rules():
        told = documentation_of(app.view_functions[rule.endpoint])
        takes_audio = told and any(body.files or body.is_raw for body in told.bodies)
        path = rule.rule.replace("<", "").replace(">", "")
        is_upload = path.startswith(("/uploads", "/v2/upload"))  # of which a job is made later
        if takes_audio and "POST" in (rule.methods or ()) and not is_upload:
            open_to_all += [path] if not makes_job("POST", path) else []

    assert open_to_all == []


def test_with_every_waiting_slot_taken_the_next_is_answered_at_once(
    start_gateway: StartGateway, services: Services, speech: bytes
) -> None:
    gateway = start_gateway(waiting_slots=N_SLOTS)
    job_id = str(call(gateway, "POST", "/transcribe/binary", speech)[1]["job_id"])
    question = f"/jobs/{job_id}?wait=300"
    form = {"files": {"file": ("a.wav", speech)}, "data": {"stream": "true"}}

    with (
        ThreadPoolExecutor(N_SLOTS) as callers,
        Client(base_url=gateway.url, timeout=60) as http,
    ):
        held = [callers.submit(call, gateway, "GET", question) for _ in range(N_SLOTS)]
        try:
            taken = "longhand_waiting_slots_used"
            wait_until(lambda: metric(gateway, taken) == N_SLOTS, 60, "no slot left")
            asked = http.get(question)
            streamed = http.post("/v1/audio/transcriptions", **form)
            assert not any(holder.done() for holder in held)
            assert (asked.status_code, asked.json()["status"]) == (200, "queued")
            assert (streamed.status_code, int(streamed.headers["retry-after"]) > 0) == (503, True)
            assert len(services.jobs.newest()) == 1
        finally:
            services.jobs.cancel(job_id)
