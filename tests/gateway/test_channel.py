"""What is too large is refused from the header, on a real socket, and not a byte of it is kept."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import clips
import pytest
from gateway_process import GatewayProcess
from waiting import wait_until

StartGateway = Callable[..., GatewayProcess]
StoredFiles = Callable[[], list[str]]

LIMIT = 1_000_000
FORM = b"Content-Type: multipart/form-data; boundary=x\r\n"
EXPECT = b"Expect: 100-continue\r\n"


@pytest.fixture(scope="module")
def storage_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the gateway of all these tests stores."""
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def gateway(start_gateway_once: StartGateway, storage_dir: Path) -> GatewayProcess:
    """A gateway that takes a megabyte of audio."""
    return start_gateway_once(max_audio_bytes=LIMIT, storage_dir=storage_dir)


@pytest.fixture(autouse=True)
def _nothing_is_left_stored(storage_dir: Path) -> Iterator[None]:
    yield
    shutil.rmtree(storage_dir / "jobs", ignore_errors=True)


def connect(gateway: GatewayProcess) -> closing[socket.socket]:
    """A connection that does not wait for ever."""
    return closing(socket.create_connection(gateway.address, timeout=20))


def header(path: str, *lines: bytes) -> bytes:
    """The header of a POST."""
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + b"".join(lines) + b"\r\n"


def length(n_bytes: int) -> bytes:
    """A Content-Length line."""
    return f"Content-Length: {n_bytes}\r\n".encode()


def read_all(connection: socket.socket) -> tuple[bytes, dict[str, object]]:
    """Everything up to the end of the connection: the header, and the body as JSON."""
    received = b""
    while more := connection.recv(65536):
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    return head, json.loads(body)


def assert_too_large(head: bytes, value: dict[str, object], size: str) -> None:
    """Hold an answer to be our 413, and the first and only one."""
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"Content-Type: application/json" in head and b"Connection: close" in head
    assert value == {
        "success": False,
        "error": f"the upload is {size}; the limit is 1 MB (LONGHAND_MAX_AUDIO_BYTES)",
        "code": "audio_too_large",
        "param": "file",
    }


@pytest.mark.promise("S0-25", "C-06")
@pytest.mark.parametrize("path", ["/transcribe/file", "/transcribe/binary"])
@pytest.mark.parametrize("expect", [b"", EXPECT], ids=["plain", "expect-continue"])
def test_500_mb_announced_are_refused_before_one_byte_is_sent(
    gateway: GatewayProcess, stored_files: StoredFiles, path: str, expect: bytes
) -> None:
    with connect(gateway) as connection:
        connection.sendall(header(path, FORM, length(500_000_000), expect))
        answer = read_all(connection)

    assert_too_large(*answer, "500 MB")
    assert gateway.spooled_bytes() == []
    assert stored_files() == []


def test_a_caller_that_sends_on_all_the_same_can_read_the_answer(
    gateway: GatewayProcess, stored_files: StoredFiles
) -> None:
    with connect(gateway) as connection:
        connection.sendall(header("/transcribe/binary", length(50_000_000)))
        for _ in range(500):
            connection.sendall(bytes(100_000))
        answer = read_all(connection)
        assert gateway.spooled_bytes() == []

    assert_too_large(*answer, "50 MB")
    assert stored_files() == []


def test_a_refused_body_is_not_taken_for_requests(gateway: GatewayProcess) -> None:
    inner = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connect(gateway) as connection:
        connection.sendall(header("/transcribe/binary", length(5_000_000)) + inner * 3)
        connection.sendall(inner * 1000)
        answer = read_all(connection)

    assert_too_large(*answer, "5 MB")


def test_a_chunked_body_is_cut_at_the_limit(
    gateway: GatewayProcess, stored_files: StoredFiles
) -> None:
    chunk = b"186a0\r\n" + bytes(100_000) + b"\r\n"
    with connect(gateway) as connection:
        connection.sendall(header("/transcribe/binary", b"Transfer-Encoding: chunked\r\n"))
        for _ in range(8):
            connection.sendall(chunk)
        wait_until(lambda: sum(gateway.spooled_bytes()) > 500_000, 20, "bytes on disk")
        for _ in range(20):
            connection.sendall(chunk)
        answer = read_all(connection)

    assert_too_large(*answer, "larger than allowed")
    wait_until(lambda: gateway.spooled_bytes() == [], 20, "nothing on disk")
    assert stored_files() == []


def test_a_body_that_is_taken_lies_on_the_data_volume_until_it_is_whole(
    gateway: GatewayProcess, stored_files: StoredFiles
) -> None:
    with connect(gateway) as connection:
        connection.sendall(header("/transcribe/binary", length(900_000)) + bytes(800_000))
        wait_until(lambda: sum(gateway.spooled_bytes()) > 500_000, 20, "bytes on disk")

    wait_until(lambda: gateway.spooled_bytes() == [], 20, "nothing on disk")
    assert stored_files() == []


def test_an_upload_just_within_the_limit_is_taken_with_continue(gateway: GatewayProcess) -> None:
    audio = clips.wav(31.0)
    assert LIMIT - 10_000 < len(audio) <= LIMIT
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    body = head + audio + b"\r\n--x--\r\n"
    close = b"Connection: close\r\n"
    with connect(gateway) as connection:
        connection.sendall(header("/transcribe/file", FORM, length(len(body)), EXPECT, close))
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        answer, value = read_all(connection)

    assert answer.startswith(b"HTTP/1.1 202 ")
    assert value["status"] == "queued"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nHo st\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 300_000 + b"\r\n\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", b"501"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", b"400"),
    ],
)
def test_a_request_that_is_no_http_is_answered_in_json(
    gateway: GatewayProcess, request_bytes: bytes, status: bytes
) -> None:
    with connect(gateway) as connection:
        connection.sendall(request_bytes)
        head, value = read_all(connection)

    assert head.split()[1] == status
    assert (value["success"], bool(value["error"])) == (False, True)


@pytest.mark.promise("S0-25", "C-06", "C-26")
def test_openais_clients_are_told_that_it_is_too_large_in_their_own_shape(
    gateway: GatewayProcess,
) -> None:
    with connect(gateway) as connection:
        connection.sendall(header("/v1/audio/transcriptions", FORM, length(50_000_000)))
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 413 ")
    assert json.loads(body)["error"] == {
        "message": "the upload is 50 MB; the limit is 1 MB (LONGHAND_MAX_AUDIO_BYTES)",
        "type": "invalid_request_error",
        "param": "file",
        "code": "audio_too_large",
    }
