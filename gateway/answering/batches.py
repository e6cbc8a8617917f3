"""Batches as native routes write them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from gateway.answering.answers import as_rfc3339, job_shown
from gateway.answering.shapes.jobs import BatchAnswer
from gateway.submission.batches import Batch
from shared.records import JobRecord, Status


def batch_value(batch: Batch, records: Sequence[JobRecord]) -> dict[str, Any]:
    """A batch and its jobs, as their caller may see them."""
    counts = Counter(record.status.value for record in records)
    seconds = sum(record.audio.duration_s for record in records)
    done = sum(
        record.audio.duration_s * (1.0 if record.status.is_final else record.progress)
        for record in records
    )
    return BatchAnswer(
        success=True,
        job_id=batch.id,
        status=batch_status(records),
        status_url=f"/jobs/{batch.id}",
        progress=round(done / seconds, 4) if seconds else float(bool(records)),
        created_at=as_rfc3339(batch.created_at),
        label=batch.label,
        counts={status.value: counts[status.value] for status in Status},
        children=[job_shown(record) for record in records],
    ).value()


def batch_status(records: Sequence[JobRecord]) -> Status:
    """
    The status of several jobs together.

    `queued` until one starts, and `running` until all have ended. Then `failed` if one failed,
    else `cancelled` if one was cancelled, else `succeeded`. Without jobs it is `queued`: a batch
    that is sent a second time may be about to get them.
    """
    statuses = {record.status for record in records}
    if statuses <= {Status.QUEUED}:
        return Status.QUEUED
    if not all(status.is_final for status in statuses):
        return Status.RUNNING
    for worst in (Status.FAILED, Status.CANCELLED):
        if worst in statuses:
            return worst
    return Status.SUCCEEDED
