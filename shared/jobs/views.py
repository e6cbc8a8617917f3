"""A job as its owner sees it: what it shares with others is joined, what he left is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from redis import Redis

from shared.keys import JOB
from shared.records import JobRecord, Status, from_hash

_SHARED = (
    "attempt", "started_at", "stage", "progress", "audio_done_s", "eta_s", "stages_s", "worker",
)  # fmt: skip


def read_views(redis: Redis, job_ids: Sequence[str]) -> list[JobRecord | None]:
    """Jobs as their owners see them; None for those that Redis does not know."""
    records = read_records(redis, job_ids)
    runs = {r.follows for r in records if r is not None and follows_now(r)}
    leaders = dict(zip(runs, read_records(redis, [r or "" for r in runs]), strict=True))
    return [None if r is None else view(r, leaders.get(r.follows)) for r in records]


def read_records(redis: Redis, job_ids: Sequence[str]) -> list[JobRecord | None]:
    """Jobs as they are written."""
    if not job_ids:
        return []
    pipe = redis.pipeline(transaction=False)
    for job_id in job_ids:
        pipe.hgetall(JOB.of(job_id))
    found: Sequence[Mapping[bytes, bytes]] = pipe.execute()
    return [from_hash(fields) if fields else None for fields in found]


def follows_now(record: JobRecord) -> bool:
    """Whether a job waits for another's run."""
    return record.follows is not None and not record.status.is_final


def view(record: JobRecord, run: JobRecord | None) -> JobRecord | None:
    """
    A job as its owner sees it; None once he deleted it.

    Args:
        run: The job it follows, where that is known.
    """
    if record.released == "deleted":
        return None
    changes: dict[str, Any] = {}
    if record.released == "cancelled":
        changes = {"status": Status.CANCELLED, "ended_at": record.released_at, "eta_s": None}
        changes |= {"result_key": None, "error": None, "warnings": ()}
    elif follows_now(record) and run is not None:
        changes = {name: getattr(run, name) for name in _SHARED}
        # Once the run has ended its result is made the job's own; until then it is not there.
        changes["status"] = Status.RUNNING if run.status.is_final else run.status
        if run.started_at is not None:
            changes["started_at"] = max(run.started_at, record.created_at)
    return record.model_copy(update=changes) if changes else record
