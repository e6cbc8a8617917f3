"""The body of a webhook message: in our format, or in that of the service whose client asked."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.answering.answers import as_rfc3339, error_of, job_shown, read_transcript_if_any
from gateway.answering.replaced import warn_of_replaced
from gateway.assemblyai.values import options_of, status_value
from gateway.deepgram.options import options_as_kept
from gateway.deepgram.values import listen_value, request_id_of
from gateway.dialects import error_in
from gateway.errors import STATUSES, error_value
from shared.errors import JobNotFound
from shared.jobs import Jobs
from shared.records import AskedAs, JobRecord


@dataclass(frozen=True)
class Message:
    """
    A webhook message, the same at every try.

    Attributes:
        headers: Headers that the caller asked for.
    """

    id: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def write_message(jobs: Jobs, record: JobRecord) -> Message:
    """Write the message of a job that has ended."""
    headers: dict[str, str] = {}
    if record.asked_as is None:
        value = _our_value(record)
    elif record.asked_as.dialect == "deepgram":
        value = _deepgrams_value(jobs, record, record.asked_as)
    else:
        value, headers = _assemblyais_value(jobs, record)
    # With the attempt: a job that is tried again by hand ends twice, with two messages.
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Message(f"{record.id}-{record.attempt}", body, headers)


def _our_value(record: JobRecord) -> dict[str, Any]:
    return {
        "type": f"job.{record.status.value}",
        "timestamp": as_rfc3339(record.ended_at or time.time()),
        "data": job_shown(record).value(),
    }


def _deepgrams_value(jobs: Jobs, record: JobRecord, asked_as: AskedAs) -> dict[str, Any]:
    """The answer that the caller would have got by waiting."""
    transcript = read_transcript_if_any(jobs, record)
    if transcript is not None:
        asked = options_as_kept(asked_as)
        transcript = warn_of_replaced(transcript, asked.replaced)
        return listen_value(record, transcript, asked.options, ignored=asked.ignored)
    error = error_of(record) or JobNotFound("the result is no longer stored", job_id=record.id)
    status = STATUSES[type(error)]
    return error_in("deepgram", error_value(error), status, request_id_of(record.id))


def _assemblyais_value(jobs: Jobs, record: JobRecord) -> tuple[dict[str, Any], dict[str, str]]:
    """The transcript's id and status; and the header by which the receiver checks the sender."""
    status, _ = status_value(record, read_transcript_if_any(jobs, record))
    options = options_of(record)
    headers = {}
    if options and options.webhook_auth_header_name:
        headers[options.webhook_auth_header_name] = options.webhook_auth_header_value or ""
    return {"transcript_id": record.id, "status": status}, headers
