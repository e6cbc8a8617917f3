"""Events of jobs: read from Redis, and written as SSE and as JSON frames."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from shared.errors import InvalidRequest
from shared.records import JobRecord, Status

_FINAL = {status.value for status in Status if status.is_final}
_LONGEST_ID = 40
_ROUNDING_MS = 2


class EventId(NamedTuple):
    """The id of an event: that of its entry in a Redis stream. Ids only grow."""

    ms: int
    n: int

    @classmethod
    def parse(cls, text: str) -> EventId:
        """
        Read an id as a caller, or Redis, writes it.

        Raises:
            InvalidRequest: It is not the id of an event.

        >>> EventId.parse("1700000000000-2") > EventId.parse("1699999999999-7")
        True
        """
        ms, _, n = text.partition("-")
        if len(text) > _LONGEST_ID or not (ms + n).isascii() or not (ms + (n or "0")).isdecimal():
            raise InvalidRequest(
                f"Last-Event-ID is {text[:_LONGEST_ID]!r}; send the id of an event you were sent",
                param="last_event_id",
            )
        return cls(int(ms), int(n or 0))

    def __str__(self) -> str:
        return f"{self.ms}-{self.n}"


BEGINNING = EventId(0, 0)


@dataclass(frozen=True)
class Event:
    """
    One thing that happened.

    Attributes:
        job: The id of the job.
        owner: The job's owner.
        kind: `job` (its status and progress) or `segments` (what was recognised).
        data: JSON text of an object.
        is_final: Whether nothing more will happen to the job.
    """

    id: EventId
    job: str
    owner: str
    kind: str
    data: str
    is_final: bool = False


def read_entry(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Event:
    """
    Read an entry of the stream.

    Raises:
        KeyError, ValueError: It is not an event of ours.
    """
    kind, data = fields[b"type"].decode(), fields[b"data"].decode()
    return Event(
        id=EventId.parse(entry_id.decode()),
        job=fields[b"job"].decode(),
        owner=fields[b"owner"].decode(),
        kind=kind,
        data=data,
        is_final=kind == "job" and json.loads(data)["status"] in _FINAL,
    )


def snapshot(record: JobRecord, at: EventId) -> Event:
    """
    The present status of a job, as an event of kind `job`.

    Args:
        at: The last event that the listener was sent; later ones follow.
    """
    value: dict[str, object] = {
        "job_id": record.id,
        "status": record.status.value,
        "stage": record.stage,
        "progress": round(record.progress, 4),
        "audio_done_s": round(record.audio_done_s, 3),
        "eta_s": record.eta_s,
        "attempt": record.attempt,
    }
    if record.error is not None:
        value["error"] = record.error
    if record.warnings:
        value["warnings"] = [warning.model_dump() for warning in record.warnings]
    if record.status.is_final:
        at = max(at, after_end_of(record))
    text = json.dumps(value, ensure_ascii=False)
    return Event(at, record.id, record.owner, "job", text, record.status.is_final)


def after_end_of(record: JobRecord) -> EventId:
    """
    An event id just after a job's end. A listener who names it, or a later one, knows of the end.

    This works even if the event itself was dropped: event ids and times of jobs both come from
    Redis's clock. They differ only by rounding.
    """
    return EventId(int((record.ended_at or 0) * 1000) + _ROUNDING_MS, 0)


def as_sse(event: Event) -> str:
    r"""
    An event of a `text/event-stream` (WHATWG HTML, 9.2).

    >>> as_sse(Event(EventId(7, 0), "j", "ann", "job", '{"job_id": "j"}'))
    'id: 7-0\nevent: job\ndata: {"job_id": "j"}\n\n'
    """
    return f"id: {event.id}\nevent: {event.kind}\ndata: {event.data}\n\n"


def as_frame(event: Event) -> str:
    """
    An event as a frame of a WebSocket.

    >>> as_frame(Event(EventId(7, 0), "j", "ann", "job", '{"job_id": "j"}'))
    '{"id": "7-0", "event": "job", "data": {"job_id": "j"}}'
    """
    return f'{{"id": "{event.id}", "event": "{event.kind}", "data": {event.data}}}'
