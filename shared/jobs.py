"""
Our own record of a job, moved by one compare-and-set.

RQ rewrites and expires what it stores, so it only delivers (`shared.delivery`);
what a job *is* stands here, in the hash `longhand:job:{id}`:

    queued ──claim──► running ──finish──► succeeded
      │  ▲               │ ├────fail────► failed
      │  └───requeue─────┘ │
      └──────cancel────────┴────────────► cancelled

Every arrow is `_MOVE`: it succeeds only from the statuses and for the attempt
named, so a worker that was thought dead cannot publish over its successor.
Each move has an id: sent again by a client that lost the answer, it succeeds again.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from redis import Redis

from shared.chunks import KeptChunks, chunks_key
from shared.connections import as_texts
from shared.delivery import Delivery
from shared.errors import EngineFailed, ErrorValue, JobNotFound, WorkerLost
from shared.request import TranscriptionRequest
from shared.storage import KeyNotFound, Storage
from shared.transcript import Transcript

DEFAULT_OWNER = "local"
_LEASES = "longhand:leases"
_QUEUED = "longhand:queued"

_MOVE = """
-- KEYS  job, leases, queued, chunks done
-- ARGV  id, statuses to move from, attempt or '', lease test ('expired' or ''),
--       status to move to, lease in seconds, move, then field, value, field, value ...
local status, attempt, move = unpack(redis.call('HMGET', KEYS[1], 'status', 'attempt', 'move'))
if not status then return 'missing' end
-- A client that lost the answer asks again.
if move == ARGV[7] then return 'moved' end
if not string.find(ARGV[2], status, 1, true) then return status end
if ARGV[3] ~= '' and ARGV[3] ~= attempt then return 'superseded' end
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
if ARGV[4] == 'expired' then
  local until_ = redis.call('ZSCORE', KEYS[2], ARGV[1])
  if until_ and tonumber(until_) > now then return 'leased' end
end
local to = ARGV[5]
redis.call('HSET', KEYS[1], 'status', to, 'moved_at', now, 'move', ARGV[7])
for i = 8, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
if to == 'running' then
  if status == 'queued' then redis.call('HSET', KEYS[1], 'started_at', now) end
  redis.call('ZADD', KEYS[2], now + ARGV[6], ARGV[1])
else
  redis.call('ZREM', KEYS[2], ARGV[1])
end
if to == 'queued' then redis.call('ZADD', KEYS[3], now, ARGV[1])
else redis.call('ZREM', KEYS[3], ARGV[1]) end
if to ~= 'queued' and to ~= 'running' then
  redis.call('HSET', KEYS[1], 'ended_at', now, 'eta_s', '')
  redis.call('DEL', KEYS[4])
end
return 'moved'
"""


class Status(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to the job."""
        return self not in (Status.QUEUED, Status.RUNNING)


class StoredAudio(BaseModel):
    """
    An accepted upload.

    Attributes:
        key: Where it lies in storage.
        filename: What the caller called it; data, never a path.
        duration_s: Its true duration, by a scan of its packets.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    key: str
    filename: str
    n_bytes: int
    sha256: str
    duration_s: float


class JobRecord(BaseModel):
    """
    A job as it stands now. Times are seconds since the epoch.

    Attributes:
        attempt: Which delivery this is, from 1; a job whose worker died is delivered again.
        progress: Fraction done, 0 to 1.
        audio_done_s: Seconds of audio transcribed so far.
        eta_s: Seconds it will take from its last report on, as it goes now.
        result_key: Where the transcript lies in storage, once succeeded.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    owner: str
    status: Status
    attempt: int
    request: TranscriptionRequest
    audio: StoredAudio
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    stage: str | None = None
    progress: float = 0.0
    audio_done_s: float = 0.0
    eta_s: float | None = None
    worker: str | None = None
    error: ErrorValue | None = None
    result_key: str | None = None


def new_job_id() -> str:
    """A fresh id: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def is_job_id(text: str) -> bool:
    """Whether `text` has the form of a job id."""
    return len(text) == 32 and all(c in "0123456789abcdef" for c in text)


def job_prefix(job_id: str) -> str:
    """Where everything stored for a job lies."""
    return f"jobs/{job_id}"


class Jobs:
    """Every job of a site."""

    def __init__(self, redis: Redis, storage: Storage, *, lease_s: int, max_attempts: int) -> None:
        self._redis = redis
        self._storage = storage
        self._lease_s = lease_s
        self._max_attempts = max_attempts
        self._delivery = Delivery(redis)
        self.chunks = KeptChunks(redis)
        self._move_script = redis.register_script(_MOVE)

    def submit(
        self,
        job_id: str,
        request: TranscriptionRequest,
        audio: StoredAudio,
        *,
        owner: str = DEFAULT_OWNER,
    ) -> JobRecord:
        """Accept a job whose audio is stored: record, indexes and slip in one transaction."""
        now = time.time()
        record = JobRecord(
            id=job_id,
            owner=owner,
            status=Status.QUEUED,
            attempt=1,
            request=request,
            audio=audio,
            created_at=now,
        )
        pipe = self._redis.pipeline()
        self._delivery.enqueue(job_id, 1, pipe)
        pipe.hset(_job_key(job_id), mapping=_to_hash(record))
        pipe.zadd(_owner_key(owner), {job_id: now})
        pipe.zadd(_QUEUED, {job_id: now})
        pipe.execute()
        return record

    def get(self, job_id: str, *, owner: str | None = None) -> JobRecord:
        """
        Return a job, from storage when Redis no longer knows it.

        Raises:
            JobNotFound: There is no such job, or `owner` is given and it is another's.
        """
        record = self._find(job_id) if is_job_id(job_id) else None
        if record is None or owner not in (None, record.owner):
            raise JobNotFound(f"there is no job {job_id[:64]!r}")
        return record

    def _find(self, job_id: str) -> JobRecord | None:
        fields: Any = self._redis.hgetall(_job_key(job_id))
        if fields:
            return _from_hash(fields)
        try:
            return JobRecord.model_validate_json(
                self._storage.read(f"{job_prefix(job_id)}/record.json")
            )
        except KeyNotFound:
            return None

    def newest(self, *, owner: str = DEFAULT_OWNER, limit: int = 100) -> Sequence[JobRecord]:
        """The owner's newest jobs, newest first."""
        ids = as_texts(self._redis.zrevrange(_owner_key(owner), 0, limit - 1))
        pipe = self._redis.pipeline(transaction=False)
        for job_id in ids:
            pipe.hgetall(_job_key(job_id))
        return [_from_hash(fields) for fields in pipe.execute() if fields]

    def claim(self, job_id: str, attempt: int, worker: str) -> JobRecord | None:
        """Take a queued job for `worker`; None if it is no longer there to be taken."""
        fields = {"worker": worker, "stage": "decode", "progress": 0.0, "audio_done_s": 0.0}
        fields["eta_s"] = ""
        if not self._move(job_id, (Status.QUEUED,), Status.RUNNING, fields, attempt=attempt):
            return None
        try:
            return self.get(job_id)
        except ValidationError:
            error = EngineFailed(
                "the worker cannot read this job; a worker must not be older than the gateway"
            )
            self.fail(job_id, attempt, error.to_value())
            return None

    def report(self, job_id: str, attempt: int, fields: Mapping[str, Any]) -> bool:
        """Renew the lease and say how far the job is; False if it is no longer this attempt's."""
        return self._move(job_id, (Status.RUNNING,), Status.RUNNING, fields, attempt=attempt)

    def finish(
        self,
        job_id: str,
        attempt: int,
        transcript: Transcript,
        converted: Mapping[str, Transcript] | None = None,
    ) -> bool:
        """
        Store a transcript and publish it; False, with nothing left behind, if the job is
        no longer this attempt's.

        Args:
            converted: The same in other Chinese scripts, by variant.
        """
        key = f"{job_prefix(job_id)}/{attempt}/result.json"
        stored = {_converted_key(key, variant): t for variant, t in (converted or {}).items()}
        for name, value in {**stored, key: transcript}.items():
            with self._storage.create(name) as out:
                out.write(value.model_dump_json().encode())
        fields = {"result_key": key, "stage": "convert", "progress": 1.0}
        fields |= {"audio_done_s": transcript.duration, "eta_s": ""}
        if self._move(job_id, (Status.RUNNING,), Status.SUCCEEDED, fields, attempt=attempt):
            self._archive(job_id)
            return True
        self._storage.delete_all(f"{job_prefix(job_id)}/{attempt}")
        return False

    def fail(self, job_id: str, attempt: int, error: ErrorValue) -> bool:
        """End a running job with an error; False if it is no longer this attempt's."""
        fields = {"error": json.dumps(error)}
        if self._move(job_id, (Status.RUNNING,), Status.FAILED, fields, attempt=attempt):
            self._archive(job_id)
            return True
        return False

    def cancel(self, job_id: str) -> bool:
        """End a job that has not ended; a worker on it notices at its next report."""
        moved = self._move(job_id, (Status.QUEUED, Status.RUNNING), Status.CANCELLED, {})
        if moved:
            self._archive(job_id)
        return moved

    def delete(self, job_id: str) -> JobRecord:
        """Cancel a job if it has not ended, then remove its audio, result and record."""
        # Not `cancel`: what would be archived is removed, and a full disk must not be in the way.
        self._move(job_id, (Status.QUEUED, Status.RUNNING), Status.CANCELLED, {})
        record = self.get(job_id)
        self._storage.delete_all(job_prefix(job_id))
        pipe = self._redis.pipeline()
        pipe.delete(_job_key(job_id))
        pipe.zrem(_owner_key(record.owner), job_id)
        pipe.execute()
        return record

    def read_transcript(self, record: JobRecord) -> Transcript:
        """Read the result of a job that succeeded, as it was recognised."""
        assert record.result_key is not None
        return Transcript.model_validate_json(self._storage.read(record.result_key))

    def read_converted(self, record: JobRecord, variant: str) -> Transcript | None:
        """Read the result in a Chinese script, if it was stored in that one."""
        assert record.result_key is not None
        try:
            stored = self._storage.read(_converted_key(record.result_key, variant))
        except KeyNotFound:
            return None
        return Transcript.model_validate_json(stored)

    def counts(self) -> dict[str, int]:
        """How many jobs wait and how many run."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.zcard(_QUEUED)
        pipe.zcard(_LEASES)
        queued, running = pipe.execute()
        return {"queued": queued, "running": running}

    def queue_position(self, job_id: str) -> int | None:
        """Where a job stands among those that wait, from 1; None if it does not wait."""
        rank: Any = self._redis.zrank(_QUEUED, job_id)
        return None if rank is None else rank + 1

    def reap(self) -> list[str]:
        """
        Deliver again every job whose lease ran out; return their ids.

        A job that has had all its attempts fails `worker_lost`.
        """
        seconds, micros = self._redis.time()
        expired = as_texts(self._redis.zrangebyscore(_LEASES, 0, seconds + micros / 1e6))
        return [job_id for job_id in expired if self._reap_one(job_id)]

    def _reap_one(self, job_id: str) -> bool:
        status, attempt = self._standing(job_id)
        if status is not Status.RUNNING:
            self._redis.zrem(_LEASES, job_id)
            return False
        wanted = (Status.RUNNING,)
        if attempt >= self._max_attempts:
            error = WorkerLost(
                f"{attempt} workers died over this job; see their logs, then submit it again"
            )
            fields: dict[str, Any] = {"error": json.dumps(error.to_value())}
            moved = self._move(job_id, wanted, Status.FAILED, fields, attempt=attempt, expired=True)
            if moved:
                self._delivery.forget(job_id, attempt)
                self._archive(job_id)
            return moved
        fields = {"attempt": attempt + 1, "stage": "", "worker": ""}
        fields |= {"progress": 0.0, "audio_done_s": 0.0, "eta_s": ""}
        if not self._move(job_id, wanted, Status.QUEUED, fields, attempt=attempt, expired=True):
            return False
        self._delivery.enqueue(job_id, attempt + 1)
        self._delivery.forget(job_id, attempt)
        return True

    def _standing(self, job_id: str) -> tuple[Status | None, int]:
        """Status and attempt alone: a record that cannot be read must not stop the reaper."""
        reply: Any = self._redis.hmget(_job_key(job_id), "status", "attempt")
        status, attempt = reply
        return (Status(status.decode()), int(attempt)) if status else (None, 0)

    def redeliver_lost_slips(self, older_than_s: float) -> list[str]:
        """
        Give a new slip to every queued job that has none; return their ids.

        A slip gets lost when a worker dies between pulling and claiming it. A
        second slip for one attempt does no harm: only one claim succeeds.
        """
        seconds, micros = self._redis.time()
        until = seconds + micros / 1e6 - older_than_s
        waiting = as_texts(self._redis.zrangebyscore(_QUEUED, 0, until))
        if not waiting:
            return []
        # Most have their slip: they must cost nothing, however many they are.
        delivered = self._delivery.waiting_jobs()
        lost = []
        for job_id in waiting:
            if job_id in delivered:
                continue
            status, attempt = self._standing(job_id)
            if status is not Status.QUEUED:
                self._redis.zrem(_QUEUED, job_id)
                continue
            lost.append(job_id)
            self._delivery.forget(job_id, attempt)
            pipe = self._redis.pipeline()
            self._delivery.enqueue(job_id, attempt, pipe)
            pipe.zadd(_QUEUED, {job_id: seconds}, xx=True)
            pipe.execute()
        return lost

    def _move(
        self,
        job_id: str,
        wanted: tuple[Status, ...],
        to: Status,
        fields: Mapping[str, Any],
        *,
        attempt: int | None = None,
        expired: bool = False,
    ) -> bool:
        """Run `_MOVE`; whether the job was moved."""
        pairs = [part for name, value in fields.items() for part in (name, value)]
        answer = self._move_script(
            keys=[_job_key(job_id), _LEASES, _QUEUED, chunks_key(job_id)],
            args=[
                job_id,
                ",".join(wanted),
                "" if attempt is None else attempt,
                "expired" if expired else "",
                to.value,
                self._lease_s,
                uuid.uuid4().hex,
                *pairs,
            ],
        )
        return bool(answer == b"moved")

    def _archive(self, job_id: str) -> None:
        """Write an ended job's record to storage: history outlives Redis."""
        with suppress(ValidationError):  # of a newer gateway, which can read it in Redis
            record = self._find(job_id)
            if record is None:
                return
            with self._storage.create(f"{job_prefix(job_id)}/record.json") as out:
                out.write(record.model_dump_json().encode())
            if not self._redis.exists(_job_key(job_id)):  # deleted meanwhile: it must not come back
                self._storage.delete_all(job_prefix(job_id))


def _converted_key(result_key: str, variant: str) -> str:
    return result_key.removesuffix(".json") + f".{variant}.json"


def _job_key(job_id: str) -> str:
    return f"longhand:job:{job_id}"


def _owner_key(owner: str) -> str:
    return f"longhand:jobs:{owner}"


_JSON_FIELDS = ("request", "audio", "error")


def _to_hash(record: JobRecord) -> dict[Any, Any]:
    values = record.model_dump(mode="json")
    return {
        k: json.dumps(v) if k in _JSON_FIELDS else str(v)
        for k, v in values.items()
        if v is not None
    }


def _from_hash(fields: Mapping[bytes, bytes]) -> JobRecord:
    values: dict[str, Any] = {k.decode(): v.decode() for k, v in fields.items() if v != b""}
    for name in _JSON_FIELDS:
        if name in values:
            values[name] = json.loads(values[name])
    return JobRecord.model_validate(values)
