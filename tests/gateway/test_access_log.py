"""Every request has an id, that its answer and all its lines carry, and one line of its own."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from gateway_process import GatewayProcess
from httpx2 import Client
from waiting import wait_until
from work import upload

from gateway.services import Services


def lines_of(gateway: GatewayProcess, request_id: str) -> list[dict[str, Any]]:
    """Its lines about one request."""
    lines = [json.loads(line) for line in gateway.log.read_text().splitlines()]
    return [line for line in lines if line.get("request_id") == request_id]


@pytest.fixture
def gateway(start_gateway: Callable[..., GatewayProcess]) -> GatewayProcess:
    """A gateway whose lines are JSON."""
    return start_gateway(log_format="json", max_audio_bytes=1_000_000)


@pytest.fixture
def http(gateway: GatewayProcess) -> Iterator[Client]:
    """A caller of it."""
    with Client(base_url=gateway.url, timeout=20) as client:
        yield client


@pytest.mark.parametrize("told", ["a", "9f3c-1/x", "~" * 128])
def test_the_id_a_caller_gives_comes_back(client: FlaskClient, told: str) -> None:
    answer = client.get("/jobs", headers={"X-Request-Id": told})

    assert answer.headers["X-Request-Id"] == told


@pytest.mark.parametrize("told", ["", "a b", "é", "x" * 129, "tab\there"])
def test_an_id_that_cannot_stand_in_a_line_is_replaced(client: FlaskClient, told: str) -> None:
    answer = client.get("/jobs", headers={"X-Request-Id": told})

    assert len(answer.headers["X-Request-Id"]) == 32
    assert answer.headers["X-Request-Id"] != told


def test_every_answer_has_an_id_of_its_own(client: FlaskClient) -> None:
    page = client.get("/web/page.js")
    page.close()
    answers = [
        page,
        client.get("/health"),
        client.get("/", headers={"Accept": "application/json"}),
        client.get("/nothing"),
        client.post("/health"),
        client.get("/jobs/x"),
        client.post("/transcribe/file"),
    ]
    ids = {answer.headers["X-Request-Id"] for answer in answers}

    assert len(ids) == len(answers)
    assert {answer.status_code for answer in answers} >= {200, 400, 404, 405}


def test_callers_who_are_not_let_in_get_an_id_too(
    make_client: Callable[..., FlaskClient], tmp_path: Path
) -> None:
    client = make_client(auth="keys", api_keys_file=tmp_path / "keys.json")
    answer = client.get("/jobs", headers={"X-Request-Id": "r-1"})

    assert (answer.status_code, answer.headers["X-Request-Id"]) == (401, "r-1")


def test_a_job_knows_the_request_it_came_with(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    answer = upload(client, speech, headers={"X-Request-Id": "order-66"})

    assert services.jobs.get(answer.get_json()["job_id"]).request_id == "order-66"


def test_a_request_has_one_line_without_its_query_and_all_its_lines_have_its_id(
    gateway: GatewayProcess, http: Client, speech: bytes
) -> None:
    sent = {"X-Request-Id": "r-7"}
    answer = http.post("/transcribe/binary?ext=wav&label=secret", content=speech, headers=sent)
    job_id = answer.json()["job_id"]
    wait_until(lambda: len(lines_of(gateway, "r-7")) == 2, 20, "both lines")
    accepted, answered = lines_of(gateway, "r-7")

    assert answer.headers["X-Request-Id"] == "r-7"
    assert (accepted["job_id"], accepted["message"][:8]) == (job_id, "accepted")
    assert answered.pop("time") > 0
    assert 0 < answered.pop("seconds") < 20
    assert answered == {
        "level": "info",
        "logger": "gateway.access_log",
        "message": "answered",
        "request_id": "r-7",
        "method": "POST",
        "path": "/transcribe/binary",
        "status": 202,
        "bytes": len(answer.content),
        "owner": "local",
    }
    assert "secret" not in gateway.log.read_text()


def test_a_path_stays_on_its_line(gateway: GatewayProcess, http: Client) -> None:
    http.get("/nothing%0Aat%20all", headers={"X-Request-Id": "r-8"})
    wait_until(lambda: lines_of(gateway, "r-8"), 20, "its line")

    assert [line["path"] for line in lines_of(gateway, "r-8")] == ["/nothing%0Aat%20all"]


def test_what_probes_ask_for_has_no_line_unless_it_fails(
    gateway: GatewayProcess, http: Client
) -> None:
    for path in ("/health", "/health/live", "/health/ready", "/metrics"):
        http.get(path, headers={"X-Request-Id": "probe"})
    http.get("/health/ready?workers=1", headers={"X-Request-Id": "failed"})
    wait_until(lambda: lines_of(gateway, "failed"), 20, "its line")

    assert lines_of(gateway, "probe") == []
    assert [line["status"] for line in lines_of(gateway, "failed")] == [503]


def test_what_is_refused_from_its_header_has_an_id_and_a_line(gateway: GatewayProcess) -> None:
    with socket.create_connection(gateway.address, timeout=20) as connection:
        connection.sendall(
            b"POST /transcribe/binary?token=secret HTTP/1.1\r\nHost: localhost\r\n"
            b"X-Request-Id: r-9\r\nContent-Length: 99000000\r\n\r\n"
        )
        head = connection.recv(65536).partition(b"\r\n\r\n")[0]
    wait_until(lambda: lines_of(gateway, "r-9"), 20, "its line")
    [line] = lines_of(gateway, "r-9")

    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nX-Request-Id: r-9" in head
    assert (line["method"], line["path"], line["status"]) == ("POST", "/transcribe/binary", 413)
    assert "secret" not in gateway.log.read_text()


def test_what_is_refused_from_its_header_is_counted(gateway: GatewayProcess, http: Client) -> None:
    """A full queue answers like this, and operators want to see it."""
    for path in (b"/transcribe/binary", b"/jobs/a-job-id/retry", b"/no/where"):
        with socket.create_connection(gateway.address, timeout=20) as connection:
            connection.sendall(
                b"POST "
                + path
                + b" HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n"
                b"Content-Length: 9\r\n\r\n"
            )
            assert connection.recv(65536).startswith(b"HTTP/1.1 403 ")
    counted = [line for line in http.get("/metrics").text.splitlines() if 'status="403"' in line]

    assert counted == [
        f'longhand_requests_total{{method="POST",route="{route}",status="403"}} 1.0'
        for route in ("/transcribe/binary", "/jobs/<job_id>/retry", "unmatched")
    ]
