"""
Our own record of a job, moved by one compare-and-set.

RQ rewrites and expires what it stores, so it only delivers (`shared.delivery`);
what a job *is* stands here, in the hash `longhand:job:{id}`:

    queued ──claim──► running ──finish──► succeeded
      │  ▲               │ ├────fail────► failed
      │  └───requeue─────┘ │
      └──────cancel────────┴────────────► cancelled

Every arrow is a move of `shared.moves`: it succeeds only from the statuses and
for the attempt named, so a worker that was thought dead cannot publish over its
successor. Each move has an id: sent again by a client that lost the answer, it
succeeds again.

Jobs of the same audio with the same options share one run (`shared.following`).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from redis import Redis
from redis.exceptions import RedisError

from shared.chunks import KeptChunks
from shared.connections import as_texts, redis_time
from shared.delivery import Delivery
from shared.errors import AudioGone, EngineFailed, ErrorValue, JobNotFound, JobNotRetryable
from shared.following import Following, converted_key
from shared.history import History
from shared.listing import JobPage, JobQuery, list_jobs
from shared.moves import Moves, queued_key
from shared.records import (
    DEFAULT_OWNER,
    PRIORITIES,
    JobEntry,
    JobRecord,
    Status,
    StoredAudio,
    is_job_id,
    job_key,
    job_prefix,
    owner_key,
    to_hash,
)
from shared.redelivery import Redelivery
from shared.request import TranscriptionRequest
from shared.scripts import ABANDONED, LEASES
from shared.storage import KeyNotFound, Storage
from shared.transcript import Transcript
from shared.views import read_views, view

_log = logging.getLogger(__name__)


class Jobs:
    """Every job of a site."""

    def __init__(self, redis: Redis, storage: Storage, *, lease_s: int, max_attempts: int) -> None:
        self._redis = redis
        self._storage = storage
        self._delivery = Delivery(redis)
        self._moves = Moves(redis, lease_s=lease_s)
        self._history = History(redis, storage)
        self._following = Following(redis, storage, self._moves, self._history)
        self._redelivery = Redelivery(redis, self._moves, self._delivery, max_attempts=max_attempts)
        self.chunks = KeptChunks(redis)

    def submit(
        self,
        job_id: str,
        request: TranscriptionRequest,
        audio: StoredAudio,
        *,
        entry: JobEntry = JobEntry(),  # noqa: B008 - frozen
    ) -> JobRecord:
        """
        Accept a job whose audio is stored.

        Returns:
            The job; another one, with another id, if the same Idempotency-Key made it before.

        Raises:
            IdempotencyMismatch: With this Idempotency-Key another request was made.
        """
        record = JobRecord(
            id=job_id,
            status=Status.QUEUED,
            attempt=1,
            request=request,
            audio=audio,
            created_at=time.time(),
            **entry.model_dump(exclude={"cache_key", "idempotency_key", "fingerprint"}),
        )
        outcome, record = self._following.enter(record, entry)
        if outcome == "same":
            return self.get(record.id)
        # The job is there. Should Redis go away, or this process die, just here, it goes on all
        # the same: the reaper writes the slip.
        try:
            if outcome == "lead":
                self._delivery.enqueue(job_id, 1, priority=record.priority)
            elif outcome == "follow":
                self._hurry(record)
                return self.get(record.id)
        except RedisError as error:
            _log.warning("job %s waits for the reaper, Redis is away: %s", job_id, error)
        return record

    def _hurry(self, follower: JobRecord) -> None:
        """Let a run that waits have the turn of whoever follows it, if that comes sooner."""
        run = self._history.find(follower.run_id)
        if run is None or run.status is not Status.QUEUED:
            return
        if PRIORITIES.index(follower.priority) < PRIORITIES.index(run.priority):
            self._delivery.enqueue(run.id, run.attempt, priority=follower.priority)

    def get(self, job_id: str, *, owner: str | None = None) -> JobRecord:
        """
        Return a job as its owner sees it, from storage when Redis no longer knows it.

        Raises:
            JobNotFound: There is no such job, or `owner` is given and it is another's.
        """
        record = None
        if is_job_id(job_id):
            record = read_views(self._redis, [job_id])[0]
            if record is None:
                kept = self._history.find(job_id)
                record = view(kept, None) if kept else None
        if record is None or owner not in (None, record.owner):
            raise JobNotFound(f"there is no job {job_id[:64]!r}")
        return record

    def newest(self, *, owner: str = DEFAULT_OWNER, limit: int = 100) -> Sequence[JobRecord]:
        """The owner's newest jobs, newest first."""
        return self.list(owner, JobQuery(limit=limit)).records

    def list(self, owner: str, query: JobQuery) -> JobPage:
        """
        Find an owner's jobs, newest first.

        Raises:
            InvalidRequest: The cursor is none of ours.
        """
        return list_jobs(
            self._redis, owner, query, lambda job_ids: read_views(self._redis, job_ids)
        )

    def claim(self, job_id: str, attempt: int, worker: str) -> JobRecord | None:
        """Take a queued job for `worker`; None if it is no longer there to be taken."""
        fields = {"worker": worker, "stage": "decode", "progress": 0.0, "audio_done_s": 0.0}
        fields |= {"eta_s": "", "stages_s": ""}
        if not self._moves.move(job_id, (Status.QUEUED,), Status.RUNNING, fields, attempt=attempt):
            return None
        try:
            return self._history.find(job_id)
        except ValidationError:
            error = EngineFailed(
                "the worker cannot read this job; a worker must not be older than the gateway"
            )
            self.fail(job_id, attempt, error.to_value())
            return None

    def report(self, job_id: str, attempt: int, fields: Mapping[str, Any]) -> bool:
        """Renew the lease and say how far the job is; False if it is no longer this attempt's."""
        return self._moves.move(job_id, (Status.RUNNING,), Status.RUNNING, fields, attempt=attempt)

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
        stored = {converted_key(key, variant): t for variant, t in (converted or {}).items()}
        for name, value in {**stored, key: transcript}.items():
            with self._storage.create(name) as out:
                out.write(value.model_dump_json().encode())
        fields = {"result_key": key, "stage": "convert", "progress": 1.0}
        fields |= {"audio_done_s": transcript.duration, "eta_s": ""}
        fields["warnings"] = json.dumps([warned.model_dump() for warned in transcript.warnings])
        if any(warned.is_of_a_failure for warned in transcript.warnings):
            fields["flawed"] = "1"  # whoever asks for the same later has it tried again
        if self._end(job_id, attempt, Status.SUCCEEDED, fields):
            return True
        self._storage.delete_all(f"{job_prefix(job_id)}/{attempt}")
        return False

    def fail(self, job_id: str, attempt: int, error: ErrorValue) -> bool:
        """End a running job with an error; False if it is no longer this attempt's."""
        return self._end(job_id, attempt, Status.FAILED, {"error": json.dumps(error)})

    def _end(self, job_id: str, attempt: int, to: Status, fields: Mapping[str, Any]) -> bool:
        if not self._moves.move(job_id, (Status.RUNNING,), to, fields, attempt=attempt):
            return False
        # The end is published; what a full disk keeps from others is made good by the reaper.
        self._following.settle_or_leave(job_id)
        return True

    def cancel(self, job_id: str, *, is_gone: bool = False) -> bool:
        """
        End a job that has not ended; a worker on it notices at its next report.

        If others follow it, it ends for its owner, and its run goes on for them.

        Args:
            is_gone: Whether he did not say so, but was found to have gone (`abandon`): unless he
                is back already. Should his Idempotency-Key come later, the job is made anew.
        """
        outcome = self._following.leave(job_id, "cancelled", is_gone=is_gone)
        if outcome == "alone":
            moved = self._moves.move(job_id, (Status.QUEUED, Status.RUNNING), Status.CANCELLED, {})
            if moved:
                self._following.settle_or_leave(job_id)
            return moved
        if outcome == "left":
            self._following.settle_or_leave(job_id)
        return outcome in ("left", "released")

    def delete(self, job_id: str) -> JobRecord:
        """Cancel a job if it has not ended, then remove its audio, result and record."""
        record = self._history.find(job_id) if is_job_id(job_id) else None
        if record is None:
            raise JobNotFound(f"there is no job {job_id[:64]!r}")
        outcome = self._following.leave(job_id, "deleted")
        if outcome == "alone":
            # Not `cancel`: what would be kept is removed, and a full disk must not be in the way.
            self._moves.move(job_id, (Status.QUEUED, Status.RUNNING), Status.CANCELLED, {})
        if outcome == "released":
            self._redis.zrem(owner_key(record.owner), job_id)
        else:
            record = self._history.find(job_id) or record
            self._following.remove(record)
        if record.status.is_final:
            return record
        return record.model_copy(update={"status": Status.CANCELLED})

    def retry(self, job_id: str) -> JobRecord:
        """
        Have a job that failed or was cancelled tried again, with its options.

        Raises:
            AudioGone: Its audio was removed after its time.
            JobNotRetryable: It has not ended, or succeeded.
        """
        record = self.get(job_id)
        ended = (Status.FAILED, Status.CANCELLED)
        if record.status not in ended:
            raise JobNotRetryable(
                f"the job is {record.status.value}; one that failed or was cancelled can be "
                "tried again",
                job_id=job_id,
            )
        if record.audio_removed_at is not None:
            raise AudioGone(
                "the audio of this job was removed after its time (LONGHAND_KEEP_AUDIO_S); send "
                "it again",
                job_id=job_id,
            )
        self._redis.zrem(ABANDONED, job_id)
        if self._moves.unrelease(job_id):
            record = self.get(job_id)  # its run went on for others, and may have ended as well
            if record.status not in ended:
                self._history.keep(job_id)
                return record
        attempt = record.attempt + 1
        fields: dict[str, Any] = {"attempt": attempt, "first_attempt": attempt, "progress": 0.0}
        fields |= {"audio_done_s": 0.0, "stages_s": "", "follows": "", "cache": ""}
        fields["abandoned"] = ""
        fields |= dict.fromkeys(("error", "warnings", "stage", "worker"), "")
        fields |= dict.fromkeys(("ended_at", "started_at"), "")
        if not self._redis.exists(job_key(job_id)):  # Redis lost it; storage has what it was
            if self._history.find(job_id) is None:  # unless it was deleted just now
                raise JobNotFound(f"there is no job {job_id[:64]!r}")
            self._redis.hset(job_key(job_id), mapping=to_hash(record))
            self._redis.zadd(owner_key(record.owner), {job_id: record.created_at})
        if self._moves.move(job_id, ended, Status.QUEUED, fields):
            self._delivery.enqueue(job_id, attempt, priority=record.priority)
        return self.get(job_id)

    def edit(self, job_id: str, changes: Mapping[str, Any]) -> JobRecord:
        """Change `label` or `speaker_names` of a job; what is not named stays as it is."""
        fields = {"label": changes.get("label") or ""}
        fields |= {"speaker_names": json.dumps(dict(changes.get("speaker_names", {})))}
        if self._moves.edit(job_id, {name: fields[name] for name in changes}):
            self._history.keep(job_id)
            return self.get(job_id)
        record = self._history.find(job_id)  # Redis lost it
        if record is None:
            raise JobNotFound(f"there is no job {job_id[:64]!r}")
        self._history.write(record.model_copy(update=dict(changes)))
        return self.get(job_id)

    def abandon(self, job_id: str, after_s: float) -> None:
        """Cancel a job some time from now, unless its Idempotency-Key comes again before."""
        self._redis.zadd(ABANDONED, {job_id: redis_time(self._redis) + after_s})

    def read_transcript(self, record: JobRecord) -> Transcript:
        """Read the result of a job that succeeded, as it was recognised."""
        assert record.result_key is not None
        return Transcript.model_validate_json(self._storage.read(record.result_key))

    def read_converted(self, record: JobRecord, variant: str) -> Transcript | None:
        """Read the result in a Chinese script, if it was stored in that one."""
        assert record.result_key is not None
        try:
            stored = self._storage.read(converted_key(record.result_key, variant))
        except KeyNotFound:
            return None
        return Transcript.model_validate_json(stored)

    def counts(self) -> dict[str, int]:
        """How many jobs wait and how many run."""
        pipe = self._redis.pipeline(transaction=False)
        for priority in PRIORITIES:
            pipe.zcard(queued_key(priority))
        pipe.zcard(LEASES)
        *queued, running = pipe.execute()
        return {"queued": sum(queued), "running": running}

    def queue_position(self, job_id: str) -> int | None:
        """
        Where a job stands among those that wait, from 1; None if it does not wait.

        Those of a higher priority are counted before it; some of them may be served after it.
        """
        pipe = self._redis.pipeline(transaction=False)
        for priority in PRIORITIES:
            pipe.zrank(queued_key(priority), job_id)
            pipe.zcard(queued_key(priority))
        reply = pipe.execute()
        before = 0
        for rank, n_jobs in zip(reply[::2], reply[1::2], strict=True):
            if rank is not None:
                return int(before + rank + 1)
            before += n_jobs
        return None

    def reap(self) -> Sequence[str]:
        """
        Deliver again every job whose lease ran out; return their ids.

        A job that has had all its attempts fails `worker_lost`.
        """
        again, failed = self._redelivery.reap()
        for job_id in failed:
            self._following.settle_or_leave(job_id)
        return [*again, *failed]

    def redeliver_lost_slips(self, older_than_s: float) -> Sequence[str]:
        """Give a new slip to every queued job that has none; return their ids."""
        return self._redelivery.redeliver_lost_slips(older_than_s)

    def settle_left(self) -> Sequence[str]:
        """Settle what a worker that died just after a run's end has left; the runs' ids."""
        return self._following.settle_left()

    def cancel_abandoned(self) -> Sequence[str]:
        """Cancel the jobs whose callers went away some time ago; return their ids."""
        due = as_texts(self._redis.zrangebyscore(ABANDONED, 0, redis_time(self._redis)))
        cancelled = [job_id for job_id in due if self.cancel(job_id, is_gone=True)]
        if due:
            self._redis.zrem(ABANDONED, *due)
        return cancelled
