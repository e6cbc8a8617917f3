"""The records of jobs that ended, in storage, where they outlive Redis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from pydantic import ValidationError
from redis import Redis

from shared.keys import JOB
from shared.records import JobRecord, from_hash, job_prefix
from shared.storage import KeyNotFound, Storage


class History:
    """Finds the record of a job in Redis or storage, and writes it to storage."""

    def __init__(self, redis: Redis, storage: Storage) -> None:
        self._redis = redis
        self._storage = storage

    def find(self, job_id: str) -> JobRecord | None:
        """A record from Redis, or from storage if Redis does not have it; None if there is none."""
        [record] = self.in_redis([job_id])
        if record is not None:
            return record
        try:
            return JobRecord.model_validate_json(self._storage.read(_record_key(job_id)))
        except KeyNotFound:
            return None

    def in_redis(self, job_ids: Sequence[str]) -> list[JobRecord | None]:
        """Records from Redis; None for each that it does not have."""
        pipe = self._redis.pipeline(transaction=False)
        for job_id in job_ids:
            pipe.hgetall(JOB.of(job_id))
        return [_read(fields) for fields in pipe.execute()]

    def keep(self, job_id: str) -> None:
        """Write the record of a job that ended to storage; again, if it changed meanwhile."""
        with suppress(ValidationError):  # written by a newer gateway, which can read it in Redis
            [record] = self.in_redis([job_id])
            while record is not None and record.status.is_final:
                self.write(record)
                written, [record] = record, self.in_redis([job_id])
                if record == written:
                    return
                if record is None:  # deleted meanwhile: it stays away
                    self.forget(job_id)

    def write(self, record: JobRecord) -> None:
        """Write this record to storage."""
        with self._storage.create(_record_key(record.id)) as out:
            out.write(record.model_dump_json().encode())

    def forget(self, job_id: str) -> None:
        """Remove a record from storage."""
        self._storage.delete(_record_key(job_id))


def _read(fields: Mapping[bytes, bytes]) -> JobRecord | None:
    # An older version kept what was deleted while others waited for its run.
    if not fields or fields.get(b"released") == b"deleted":
        return None
    return from_hash(JobRecord, fields)


def _record_key(job_id: str) -> str:
    return f"{job_prefix(job_id)}/record.json"
