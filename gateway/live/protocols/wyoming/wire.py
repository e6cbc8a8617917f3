"""
Wyoming's events on a connection: a line of JSON, perhaps more JSON, perhaps bytes.

See OHF-Voice/wyoming, README.md, "Format". Its own package reads events of any length into memory;
this takes no more than a limit.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from shared.errors import InvalidRequest

MOST_LINE_BYTES = 1 << 16
_MOST_DATA_BYTES = 1 << 16
_MOST_PAYLOAD_BYTES = 1 << 20
_VERSION = "1.10.2"
"""The version of the protocol's package that this was tried with."""


@dataclass(frozen=True)
class Event:
    """One event; `payload` is the samples of an `audio-chunk`."""

    type: str
    data: dict[str, Any] = field(default_factory=dict)
    payload: bytes = b""


async def read_event(reader: asyncio.StreamReader) -> Event | None:
    """
    The next event; None at the end.

    Raises:
        InvalidRequest: What comes is no event, or too long.
        IncompleteReadError: The connection ends within an event.
    """
    try:
        line = await reader.readline()
    except ValueError as error:
        raise InvalidRequest(f"a line is longer than {MOST_LINE_BYTES} bytes") from error
    if not line:
        return None
    head = _object(line)
    if not isinstance(kind := head.get("type"), str):
        raise InvalidRequest("an event has no type", param="type")
    data = _object(head.get("data") or {})
    if n_bytes := _length(head, "data_length", _MOST_DATA_BYTES):
        data |= _object(await reader.readexactly(n_bytes))
    n_bytes = _length(head, "payload_length", _MOST_PAYLOAD_BYTES)
    return Event(kind, data, await reader.readexactly(n_bytes))


def written(event: Event) -> bytes:
    """
    An event as it is sent.

    >>> written(Event("pong", {"text": "a"}))
    b'{"type": "pong", "version": "1.10.2", "data_length": 13}\\n{"text": "a"}'
    """
    data = json.dumps(event.data, ensure_ascii=False).encode()
    head = {"type": event.type, "version": _VERSION, "data_length": len(data)}
    return json.dumps(head).encode() + b"\n" + data


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, bytes):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise InvalidRequest("what comes is no event of Wyoming: it is not JSON") from error
    if not isinstance(value, dict):
        raise InvalidRequest("what comes is no event of Wyoming: it is no JSON object")
    return value


def _length(head: dict[str, Any], name: str, most: int) -> int:
    n_bytes = head.get(name) or 0
    if not isinstance(n_bytes, int) or not 0 <= n_bytes <= most:
        raise InvalidRequest(f"{name} is {str(n_bytes)[:20]}; it must be 0 to {most}", param=name)
    return n_bytes
