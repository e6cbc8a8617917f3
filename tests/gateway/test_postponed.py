"""Requests that wait for a job are put aside: they hold no thread, and are answered in the end."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import clips
import pytest
from gateway_process import GatewayProcess, call, metric
from redis.exceptions import RedisError
from waiting import wait_until
from work import fail, succeed

from gateway.services import Services
from gateway.waiting.watcher import Watched, Watcher
from shared.jobs import Jobs

StartGateway = Callable[..., GatewayProcess]
N_WAITING = 100


def form(audio: bytes, field: str = "audio_file") -> tuple[bytes, str]:
    """A multipart form that holds audio alone, and its type."""
    head = f'--x\r\nContent-Disposition: form-data; name="{field}"; filename="a.wav"\r\n\r\n'
    return head.encode() + audio + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"


def request_bytes(path: str, audio: bytes, field: str = "audio_file", **headers: str) -> bytes:
    """A request as it goes over the line."""
    body, kind = form(audio, field)
    told = {"Host": "127.0.0.1", "Content-Type": kind, "Content-Length": str(len(body)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in told.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


class Caller:
    """A connection of which every byte is seen."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._socket = socket.create_connection(gateway.address, timeout=60)
        self._file = self._socket.makefile("rb")

    def send(self, request: bytes) -> None:
        """Send a request."""
        self._socket.sendall(request)

    def has_heard(self) -> bool:
        """Whether anything came in answer."""
        self._socket.setblocking(False)
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False
        finally:
            self._socket.settimeout(60)

    def answer(self) -> tuple[int, dict[str, Any]]:
        """The next answer and nothing of what follows: its status, and its body as JSON."""
        status = int(self._file.readline().split()[1])
        headers = http.client.parse_headers(self._file)
        return status, json.loads(self._file.read(int(headers["Content-Length"])))

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()


@pytest.fixture
def connect() -> Iterator[Callable[[GatewayProcess], Caller]]:
    """A function that opens a connection."""
    with ExitStack() as opened:

        def open_one(gateway: GatewayProcess) -> Caller:
            caller = Caller(gateway)
            opened.callback(caller.close)
            return caller

        yield open_one


def n_waiting(gateway: GatewayProcess) -> int:
    """How many requests it has put aside, as it says itself."""
    return metric(gateway, "longhand_waiting_requests")


def wait_for_waiting(gateway: GatewayProcess, n: int, deadline_s: float = 60) -> None:
    """Until so many requests are put aside."""
    wait_until(lambda: n_waiting(gateway) == n, deadline_s, f"{n} requests that wait")


def test_a_hundred_who_wait_leave_all_other_routes_answering(
    start_gateway: StartGateway,
    services: Services,
    connect: Callable[[GatewayProcess], Caller],
    speech: bytes,
) -> None:
    gateway = start_gateway(threads=4, waiting_slots=1)
    callers = [connect(gateway) for _ in range(N_WAITING)]
    routes = [
        ("/asr?output=json", "audio_file"),
        ("/detect-language", "audio_file"),
        ("/transcribe", "file"),
        ("/recognise", "file"),
        ("/v1/audio/transcriptions", "file"),
        ("/transcribe/file?wait=true", "file"),
    ]
    for n, caller in enumerate(callers):
        path, field = routes[n % len(routes)]
        caller.send(request_bytes(path, speech, field))
    wait_for_waiting(gateway, N_WAITING, 240)

    statuses = [
        call(gateway, "GET", "/health")[0],
        call(gateway, "GET", "/jobs")[0],
        call(gateway, "GET", "/v1/models")[0],
        call(gateway, "POST", "/transcribe/binary", speech)[0],
    ]
    heard = [caller.has_heard() for caller in callers]
    still_waiting = n_waiting(gateway)
    for record in services.jobs.newest(limit=200):
        if record.run_id == record.id:
            succeed(services, record.id)
    answers = [caller.answer() for caller in callers]

    assert statuses == [200, 200, 200, 202]
    assert (any(heard), still_waiting) == (False, N_WAITING)
    assert {status for status, _ in answers} == {200}
    texts = {str(value.get("text", value.get("detected_language"))).strip() for _, value in answers}
    assert texts == {"Good morning.", "english"}
    wait_for_waiting(gateway, 0)


def test_what_follows_on_the_connection_is_answered_after_it_and_in_order(
    start_gateway: StartGateway,
    services: Services,
    connect: Callable[[GatewayProcess], Caller],
    speech: bytes,
) -> None:
    gateway = start_gateway()
    caller = connect(gateway)
    caller.send(request_bytes("/asr?output=json", speech))
    wait_for_waiting(gateway, 1)
    caller.send(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")  # pipelined
    wait_until(lambda: call(gateway, "GET", "/health/live")[0] == 200, 20)
    overtaken = caller.has_heard()
    [record] = services.jobs.newest()
    succeed(services, record.id)
    first, second = caller.answer(), caller.answer()
    caller.send(request_bytes("/detect-language", speech))  # the same connection once more
    wait_for_waiting(gateway, 1)
    succeed(services, services.jobs.newest()[0].id)
    third = caller.answer()

    assert not overtaken
    assert (first[0], first[1]["text"]) == (200, "Good morning.")
    assert (second[0], second[1]["status"]) == (200, "live")
    assert (third[0], third[1]["language_code"]) == (200, "en")


def test_a_caller_who_hangs_up_while_put_aside_ends_the_job(
    start_gateway: StartGateway,
    services: Services,
    connect: Callable[[GatewayProcess], Caller],
    speech: bytes,
) -> None:
    gateway = start_gateway(abandon_after_s=0)
    caller = connect(gateway)
    caller.send(request_bytes("/asr", speech))
    wait_for_waiting(gateway, 1)
    [record] = services.jobs.newest()

    caller.close()

    wait_for_waiting(gateway, 0)
    wait_until(lambda: services.jobs.get(record.id).status == "cancelled", 60, "cancelled")
    assert "Traceback" not in gateway.log.read_text()


@pytest.mark.parametrize(
    ("path", "field", "status"),
    [
        ("/asr", "audio_file", 504),
        ("/v1/audio/transcriptions", "file", 504),
        ("/transcribe/file?wait=true", "file", 202),
    ],
)
def test_callers_who_wait_when_the_gateway_stops_are_told_the_job(
    start_gateway: StartGateway,
    services: Services,
    connect: Callable[[GatewayProcess], Caller],
    speech: bytes,
    path: str,
    field: str,
    status: int,
) -> None:
    gateway = start_gateway()
    callers = [connect(gateway) for _ in range(3)]
    for caller in callers:
        caller.send(request_bytes(path, speech, field))
    wait_for_waiting(gateway, 3)

    ended = gateway.stop()

    answers = [caller.answer() for caller in callers]
    assert ended == 0
    assert {answer[0] for answer in answers} == {status}
    known = {record.id for record in services.jobs.newest()}
    assert {value["job_id"] for _, value in answers} == known
    if status == 504:
        error = answers[0][1]["error"]
        told = error["message"] if isinstance(error, dict) else error
        assert "did not end before the gateway was stopped" in told
    assert "Traceback" not in gateway.log.read_text()


def test_a_wait_ends_with_its_time_and_names_the_job(
    start_gateway: StartGateway, services: Services, speech: bytes
) -> None:
    gateway = start_gateway(max_wait_s=1)
    body, kind = form(speech)

    status, value, headers = call(gateway, "POST", "/asr", body, {"Content-Type": kind})

    [record] = services.jobs.newest()
    assert (status, value["code"], value["job_id"]) == (504, "wait_timed_out", record.id)
    assert "within 1 s (LONGHAND_MAX_WAIT_S)" in str(value["error"])
    assert record.status == "queued"
    assert headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("act", "status", "code"),
    [
        (lambda services, job_id: services.jobs.cancel(job_id), 409, "job_cancelled"),
        (lambda services, job_id: services.jobs.delete(job_id), 409, "job_cancelled"),
        (
            lambda services, job_id: fail(
                services, job_id, {"code": "engine_failed", "message": "the model broke"}
            ),
            500,
            "engine_failed",
        ),
        (lambda services, job_id: services.redis.flushall(), 409, "job_cancelled"),
    ],
    ids=["cancelled", "deleted", "failed", "forgotten"],
)
def test_a_job_that_ends_otherwise_is_answered_with_its_error(
    start_gateway: StartGateway,
    services: Services,
    connect: Callable[[GatewayProcess], Caller],
    speech: bytes,
    act: Callable[[Services, str], object],
    status: int,
    code: str,
) -> None:
    gateway = start_gateway()
    caller = connect(gateway)
    caller.send(request_bytes("/asr", speech))
    wait_for_waiting(gateway, 1)

    act(services, services.jobs.newest()[0].id)

    answered, value = caller.answer()
    assert (answered, value["code"]) == (status, code)


def test_a_request_is_noted_and_counted_once(
    start_gateway: StartGateway, services: Services, speech: bytes
) -> None:
    gateway = start_gateway(rate_limit="1/hour", log_format="json")
    body, kind = form(speech)
    headers = {"Content-Type": kind, "X-Request-Id": "order-66"}
    answers: list[tuple[int, dict[str, object], http.client.HTTPMessage]] = []
    asking = threading.Thread(
        target=lambda: answers.append(call(gateway, "POST", "/asr?output=json", body, headers))
    )
    began = time.monotonic()
    asking.start()
    record = wait_until(lambda: next(iter(services.jobs.newest()), None), 30, "the job")
    succeed(services, record.id)
    asking.join(30)
    took_s = time.monotonic() - began

    [(status, _, answered)] = answers  # the second time it was let in without being asked
    lines = [
        json.loads(line) for line in gateway.log.read_text().splitlines() if "order-66" in line
    ]
    [line] = [line for line in lines if line.get("path") == "/asr"]
    assert (status, answered["X-Request-Id"]) == (200, "order-66")
    assert (line["status"], line["owner"]) == (200, "local")
    assert 0 < line["seconds"] <= took_s


def test_a_preference_holds_for_a_request_that_was_put_aside(
    start_gateway: StartGateway, services: Services, speech: bytes
) -> None:
    gateway = start_gateway()
    answers: list[tuple[int, dict[str, object], http.client.HTTPMessage]] = []
    prefer = {"Prefer": "wait=300"}
    path = "/transcribe/binary"
    asking = threading.Thread(
        target=lambda: answers.append(call(gateway, "POST", path, speech, prefer))
    )
    asking.start()
    wait_for_waiting(gateway, 1)
    succeed(services, services.jobs.newest()[0].id)
    asking.join(60)

    [(status, value, headers)] = answers
    assert (status, value["text"]) == (200, "Good morning.")
    assert headers["Preference-Applied"] == "wait=300"
    assert call(gateway, "HEAD", "/asr", headers=prefer)[0] == 405


def test_the_body_of_a_request_that_waits_takes_no_room(
    start_gateway: StartGateway, connect: Callable[[GatewayProcess], Caller]
) -> None:
    gateway = start_gateway()
    caller = connect(gateway)
    caller.send(request_bytes("/asr", clips.wav(60)))  # enough to be put on disk

    wait_for_waiting(gateway, 1)

    assert gateway.spooled_bytes() == []


@pytest.fixture
def watcher(services: Services) -> Iterator[Watcher]:
    """One that looks, at a real Redis."""
    found = Watcher(services.jobs)
    found.start()
    yield found
    found.stop()


def watched(job_id: str, resumed: threading.Event, *, seconds: float = 600.0) -> Watched:
    """A request that waits for a job."""
    until = time.monotonic() + seconds
    return Watched(job_id, resumed.set, lambda: False, lambda: None, until)


def test_while_redis_is_away_requests_wait_on(
    services: Services, client: Any, watcher: Watcher, speech: bytes, caplog: Any
) -> None:
    job_id = client.post("/transcribe/binary", data=speech).get_json()["job_id"]
    resumed = threading.Event()
    watcher.watch(watched(job_id, resumed))
    services.redis.execute_command("CLIENT", "PAUSE", "20000", "ALL")
    wait_until(lambda: "Redis is away" in caplog.text, 60, "Redis is away")
    went_on = not resumed.is_set()
    wait_until(lambda: _succeeded(services, job_id), 60, "Redis is back")

    assert went_on
    assert resumed.wait(30)
    assert watcher.n_watched == 0


def test_a_wait_ends_with_its_time_while_redis_is_away(services: Services) -> None:
    nowhere = type(services.redis).from_url("redis://127.0.0.1:1/0")
    away = Watcher(Jobs(nowhere, services.storage, lease_s=30, max_attempts=3))
    away.start()
    resumed = threading.Event()

    away.watch(watched("0" * 32, resumed, seconds=0.2))

    assert resumed.wait(30)
    away.stop()


def test_callers_who_come_after_the_stop_are_answered_immediately(services: Services) -> None:
    stopped = Watcher(services.jobs)
    stopped.start()
    stopped.stop()
    resumed = threading.Event()

    stopped.watch(watched("0" * 32, resumed))

    assert resumed.is_set()


def _succeeded(services: Services, job_id: str) -> bool:
    try:
        succeed(services, job_id)
    except RedisError:
        return False
    return True
