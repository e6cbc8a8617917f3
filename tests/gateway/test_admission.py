"""Who may not in sends no body either: it is refused from the header, and nothing of it is kept."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import clips
import pytest
from gateway_process import GatewayProcess, call
from waiting import wait_until

from gateway.access.keys import add_key, revoke_key

StoredFiles = Callable[[], list[str]]

PORTAL = "https://portal.example.org"
BODIES = [
    b"Content-Length: 900000\r\n",
    b"Content-Length: 900000\r\nExpect: 100-continue\r\n",
    b"Transfer-Encoding: chunked\r\n",
]


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    """Where the keys of the site are."""
    return tmp_path / "keys.json"


@pytest.fixture
def gateway(start_gateway: Callable[..., GatewayProcess], keys_file: Path) -> GatewayProcess:
    """A site for holders of keys, which a portal may call."""
    return start_gateway(auth="keys", api_keys_file=keys_file, cors_origins=PORTAL)


def answer_to(
    gateway: GatewayProcess, *lines: bytes, method: bytes = b"POST"
) -> tuple[bytes, dict[str, object]]:
    """What the header of a POST alone is answered."""
    first = method + b" /transcribe/binary HTTP/1.1\r\nHost: localhost\r\n"
    head = first + b"".join(lines) + b"\r\n"
    with closing(socket.create_connection(gateway.address, timeout=20)) as connection:
        connection.sendall(head)
        received = b""
        while more := connection.recv(65536):
            received += more
    header, _, body = received.partition(b"\r\n\r\n")
    return header, json.loads(body)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("shown", [b"", b"Authorization: Bearer lh_nonsense\r\n"])
def test_callers_without_a_valid_key_send_no_body(
    gateway: GatewayProcess, stored_files: StoredFiles, body: bytes, shown: bytes
) -> None:
    header, value = answer_to(gateway, body, shown)

    assert header.startswith(b"HTTP/1.1 401 ")
    assert b"www-authenticate: bearer" in header.lower()
    assert (value["success"], value["code"]) == (False, "unauthorized")
    assert (gateway.spooled_bytes(), stored_files()) == ([], [])


@pytest.mark.parametrize("body", BODIES)
def test_a_caller_over_their_rate_sends_no_body(
    start_gateway: Callable[..., GatewayProcess],
    stored_files: StoredFiles,
    keys_file: Path,
    body: bytes,
) -> None:
    gateway = start_gateway(auth="keys", api_keys_file=keys_file)
    key = {"X-API-Key": add_key(keys_file, "ann", rate="2/hour")}
    asked = [call(gateway, "GET", "/jobs", headers=key)[0] for _ in range(3)]
    refused, value = answer_to(gateway, body, f"X-API-Key: {key['X-API-Key']}\r\n".encode())

    assert asked == [200, 200, 429]
    assert refused.startswith(b"HTTP/1.1 429 ")
    assert b"retry-after: " in refused.lower()
    assert value["code"] == "too_many_requests"
    assert str(value["error"]).startswith("this is more than 2/hour; come back in")
    assert (gateway.spooled_bytes(), stored_files()) == ([], [])


def test_a_caller_with_a_new_rate_may_send_immediately(
    start_gateway: Callable[..., GatewayProcess], keys_file: Path
) -> None:
    gateway = start_gateway(auth="keys", api_keys_file=keys_file)
    other = {"X-API-Key": add_key(keys_file, "bob", rate="1/hour")}
    old = {"X-API-Key": add_key(keys_file, "ann", rate="1/hour")}
    asked = [call(gateway, "GET", "/jobs", headers=old)[0] for _ in range(2)]
    revoke_key(keys_file, "ann")
    new = {"X-API-Key": add_key(keys_file, "ann", rate="50/hour")}
    wait_until(lambda: call(gateway, "GET", "/jobs", headers=new)[0] == 200, 20, "the new key")
    sent = [
        call(gateway, "POST", "/transcribe/binary", b"no audio", key)[0] for key in (new, other)
    ]

    assert asked == [200, 429]
    assert sent == [422, 422]


@pytest.mark.parametrize("body", BODIES)
def test_nobody_sends_a_body_with_what_a_browser_asks_beforehand(
    start_gateway: Callable[..., GatewayProcess], stored_files: StoredFiles, body: bytes
) -> None:
    """A proxy lets the question past its password; this site asks for nothing more."""
    gateway = start_gateway(auth="off")
    asked = b"Access-Control-Request-Method: POST\r\nOrigin: https://portal.example.org\r\n"

    header, value = answer_to(gateway, body, asked, method=b"OPTIONS")

    assert header.startswith(b"HTTP/1.1 400 ")
    assert value["code"] == "invalid_request"
    assert (gateway.spooled_bytes(), stored_files()) == ([], [])


def test_a_page_elsewhere_sends_no_body(gateway: GatewayProcess, keys_file: Path) -> None:
    key = f"X-API-Key: {add_key(keys_file, 'ann')}\r\n".encode()

    header, value = answer_to(gateway, BODIES[0], key, b"Origin: https://evil.example\r\n")

    assert header.startswith(b"HTTP/1.1 403 ")
    assert value["code"] == "forbidden"


def test_a_listed_page_reads_why_it_was_refused(gateway: GatewayProcess) -> None:
    header, _ = answer_to(gateway, BODIES[0], f"Origin: {PORTAL}\r\n".encode())

    assert f"access-control-allow-origin: {PORTAL}".encode() in header.lower()


def test_callers_with_a_valid_key_are_served(gateway: GatewayProcess, keys_file: Path) -> None:
    audio, headers = clips.wav(0.2), {"Authorization": f"Bearer {add_key(keys_file, 'ann')}"}

    assert call(gateway, "POST", "/transcribe/binary", audio, headers)[0] == 202


def test_a_user_of_the_proxy_is_listened_to(
    start_gateway: Callable[..., GatewayProcess], keys_file: Path
) -> None:
    gateway = start_gateway(auth="keys", api_keys_file=keys_file, trusted_proxies="127.0.0.1,::1")
    audio = clips.wav(0.2)

    assert call(gateway, "POST", "/transcribe/binary", audio, {"X-Remote-User": "ann"})[0] == 202
    assert call(gateway, "POST", "/transcribe/binary", audio)[0] == 401


def test_openai_clients_are_refused_in_their_own_shape(gateway: GatewayProcess) -> None:
    paths = ("/v1/audio/transcriptions", "/v1/models")
    answers = [
        call(gateway, "POST", paths[0], clips.wav(0.2)),
        call(gateway, "GET", paths[1], headers={"Authorization": "Bearer dummy"}),
    ]

    for status, value, _ in answers:
        error = value["error"]
        assert isinstance(error, dict)
        assert (status, error["type"]) == (401, "authentication_error")


def test_a_page_without_an_origin_sends_no_body_in_the_name_of_a_user(
    start_gateway: Callable[..., GatewayProcess], stored_files: StoredFiles
) -> None:
    gateway = start_gateway(auth="off", cors_origins="null", trusted_proxies="127.0.0.1/32")
    lent = b"Origin: null\r\nX-Remote-User: ann\r\n"

    header, value = answer_to(gateway, BODIES[0], lent)

    assert header.startswith(b"HTTP/1.1 403 ")
    assert value["code"] == "forbidden"
    assert (gateway.spooled_bytes(), stored_files()) == ([], [])
