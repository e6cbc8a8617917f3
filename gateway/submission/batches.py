"""Batches: several jobs that were made by one request and have one id together."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ConfigDict
from redis import Redis

from shared.errors import IdempotencyMismatch, JobNotFound
from shared.jobs import Jobs
from shared.keys import BATCH, BATCH_IDEMPOTENCY
from shared.records import JobRecord, is_job_id, job_prefix
from shared.storage import KeyNotFound, Storage

_IDEMPOTENCY_S = 24 * 3600


class Batch(BaseModel):
    """
    One batch.

    Attributes:
        id: Looks like a job's id, but no job has it.
        children: The ids of its jobs, in the order in which their recordings were sent.
        created_at: In seconds since the epoch.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    owner: str
    label: str | None
    created_at: float
    children: tuple[str, ...]


class Batches:
    """Every batch: in Redis, and in storage in case Redis loses it."""

    def __init__(self, redis: Redis, storage: Storage, jobs: Jobs) -> None:
        self._redis = redis
        self._storage = storage
        self._jobs = jobs

    def write(self, batch: Batch) -> None:
        """Write a batch to storage and to Redis."""
        written = batch.model_dump_json()
        with self._storage.create(f"{job_prefix(batch.id)}/batch.json") as out:
            out.write(written.encode())
        self._redis.set(BATCH.of(batch.id), written)

    def get(self, batch_id: str, *, owner: str) -> Batch:
        """
        Return a batch.

        Raises:
            JobNotFound: There is none, it is another owner's, or none of its jobs is left.
        """
        batch = self._find(batch_id) if is_job_id(batch_id) else None
        if batch is None or batch.owner != owner or not self._is_left(batch):
            raise JobNotFound(f"there is no job {batch_id[:64]!r}")
        return batch

    def _find(self, batch_id: str) -> Batch | None:
        written: Any = self._redis.get(BATCH.of(batch_id))
        try:
            written = written or self._storage.read(f"{job_prefix(batch_id)}/batch.json")
        except KeyNotFound:
            return None
        return Batch.model_validate_json(written)

    def claim(self, batch: Batch, key: str, fingerprint: str) -> Batch:
        """
        Take an Idempotency-Key for a batch.

        Args:
            key: As `present_key` gives it.
            fingerprint: Of the request. Requests with one key must have the same fingerprint.

        Returns:
            This batch, or the one that was made with the key before.

        Raises:
            IdempotencyMismatch: Another request was made with this key.
        """
        name = BATCH_IDEMPOTENCY.of(key)
        value = json.dumps({"batch": batch.id, "fingerprint": fingerprint})
        while not self._redis.set(name, value, nx=True, ex=_IDEMPOTENCY_S):
            kept: Any = json.loads(self._redis.get(name) or "{}")
            before = self._find(kept["batch"]) if kept else None
            # It was removed, or all its jobs were; but a batch in the making may have no job yet.
            if before is None or (kept.get("is_made") and not self._is_left(before)):
                self._redis.delete(name)
                continue
            if kept["fingerprint"] != fingerprint:
                raise IdempotencyMismatch(
                    "this Idempotency-Key was used for another request; every request needs its own"
                )
            return before
        return batch

    def confirm(self, batch: Batch, key: str, fingerprint: str) -> None:
        """Note that the batch that claimed an Idempotency-Key has all its jobs."""
        value = json.dumps({"batch": batch.id, "fingerprint": fingerprint, "is_made": True})
        self._redis.set(BATCH_IDEMPOTENCY.of(key), value, xx=True, keepttl=True)

    def records(self, batch: Batch) -> list[JobRecord]:
        """The jobs of a batch that were not deleted, in the order of `children`."""
        found = []
        for job_id in batch.children:
            try:
                found.append(self._jobs.get(job_id, owner=batch.owner))
            except JobNotFound:
                continue
        return found

    def remove_if_empty(self, batch_id: str) -> bool:
        """
        Remove a batch if none of its jobs is left.

        Returns:
            Whether it was removed.

        Raises:
            ValidationError: The batch or one of its jobs cannot be read.
        """
        batch = self._find(batch_id)
        if batch is None or self._is_left(batch):
            return False
        self.remove(batch)
        return True

    def _is_left(self, batch: Batch) -> bool:
        for job_id in batch.children:
            with suppress(JobNotFound):
                self._jobs.get(job_id, owner=batch.owner)
                return True
        return False

    def cancel(self, batch: Batch) -> bool:
        """Cancel every job of a batch, and return whether any of them had not ended."""
        moved = [self._jobs.cancel(record.id) for record in self.records(batch)]
        return any(moved)

    def delete(self, batch: Batch) -> list[JobRecord]:
        """Delete a batch and every job of it, and return the jobs as they were."""
        deleted = []
        for record in self.records(batch):
            with suppress(JobNotFound):  # another request deleted it a moment ago
                deleted.append(self._jobs.delete(record.id))
        self.remove(batch)
        return deleted

    def remove(self, batch: Batch) -> None:
        """Remove a batch, but none of its jobs."""
        self._redis.delete(BATCH.of(batch.id))
        self._storage.delete_all(job_prefix(batch.id))
