"""Bodies that come in pieces, and refusals from the header, on routes of other services."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gateway_process import GatewayProcess

JSON = {"Content-Type": "application/json"}


def send(
    gateway: GatewayProcess, path: str, body: Any, *, is_chunked: bool = False, **headers: str
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """POST a body; the status, what came, and its headers."""
    connection = http.client.HTTPConnection(*gateway.address, timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", path, body, named, encode_chunked=is_chunked)
    answer = connection.getresponse()
    value = json.loads(answer.read())
    connection.close()
    return answer.status, value, dict(answer.getheaders())


def pieces(audio: bytes) -> Iterator[bytes]:
    """A body whose length is not known beforehand."""
    for n in range(0, len(audio), 1000):
        yield audio[n : n + 1000]


def test_a_body_in_pieces_is_taken(
    start_gateway: Callable[..., GatewayProcess], speech: bytes
) -> None:
    gateway = start_gateway(max_wait_s=1)
    chunked = {"is_chunked": True, "Transfer_Encoding": "chunked"}

    status, uploaded, _ = send(gateway, "/v2/upload", pieces(speech), **chunked)
    order = json.dumps({"audio_url": uploaded["upload_url"]})
    ordered, transcript, _ = send(gateway, "/v2/transcript", order, Content_Type="application/json")
    listened, waited, _ = send(gateway, "/v1/listen?tag=a", pieces(speech), **chunked)

    host, port = gateway.address
    assert (status, ordered, listened) == (200, 200, 504)
    assert uploaded["upload_url"].startswith(f"http://{host}:{port}/v2/upload/")
    assert transcript["status"] == "queued"
    assert waited["err_code"] == "Gateway Timeout"
    assert len(waited["job_id"]) == 32


@pytest.mark.parametrize("path", ["/v1/listen", "/v2/upload", "/v2/transcript"])
def test_refusals_from_the_header_are_in_the_words_of_each(
    start_gateway: Callable[..., GatewayProcess], path: str
) -> None:
    small, shut = start_gateway(max_audio_bytes=1000), start_gateway(auth="keys")

    large = send(small, path, bytes(300_000))
    foreign = send(shut, path, b"audio", Authorization="Token nonsense")

    assert (large[0], foreign[0]) == (413, 401)
    for _, value, headers in (large, foreign):
        if path == "/v1/listen":
            assert set(value) == {"err_code", "err_msg", "request_id"}
            assert value["request_id"] == headers["X-Request-Id"]
        else:
            assert set(value) == {"error"}
