"""
What owners do with their jobs, through the gateway.

A job is the hash `longhand:job:{id}`. While it has not ended, it shows how its run stands, which
may be the run of other jobs too (`shared.jobs.following`). Its owner may cancel it, have it tried
again, or delete it. Owners of other jobs notice nothing of that.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from shared.delivery import Delivery
from shared.errors import AudioGone, JobNotFound, JobNotRetryable
from shared.history import History
from shared.jobs.callers import Callers
from shared.jobs.ended import EndedJobs
from shared.jobs.figures import Figures
from shared.jobs.following import Following, converted_key
from shared.jobs.moves import Moves
from shared.jobs.runs import Runs
from shared.keys import JOB, JOBS
from shared.listing import JobPage, JobQuery, list_jobs
from shared.records import (
    DEFAULT_OWNER,
    PRIORITIES,
    JobEntry,
    JobRecord,
    Status,
    StoredAudio,
    is_job_id,
    to_hash,
)
from shared.request import TranscriptionRequest
from shared.storage import KeyNotFound, Storage
from shared.transcript import Transcript

_log = logging.getLogger(__name__)


class Jobs:
    """
    Every job of a site.

    Attributes:
        callers: Who waits for jobs on open connections.
        ended: The index of jobs that ended.
        figures: How many jobs wait, run and ended.
        runs: What workers and the reaper do.
    """

    def __init__(self, redis: Redis, storage: Storage, *, lease_s: int, max_attempts: int) -> None:
        self._redis = redis
        self._storage = storage
        self._delivery = Delivery(redis)
        self._moves = Moves(redis, lease_s=lease_s)
        self._history = History(redis, storage)
        self._following = Following(redis, storage, self._moves, self._history)
        self.callers = Callers(redis)
        self.ended = EndedJobs(redis)
        self.figures = Figures(redis)
        self.runs = Runs(
            redis,
            storage,
            moves=self._moves,
            delivery=self._delivery,
            following=self._following,
            max_attempts=max_attempts,
        )

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
            run=job_id,
            **entry.model_dump(exclude={"cache_key", "idempotency_key", "fingerprint"}),
        )
        outcome, record = self._following.enter(record, entry)
        if outcome == "same":
            return self.get(record.id)
        # The job exists now. If Redis goes away or this process dies here, the reaper writes the
        # slip.
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
        """Deliver a waiting run by the priority of a job that joined it, if that is higher."""
        run = self._following.read_run(follower.run_id)
        if run is None or run.status is not Status.QUEUED:
            return
        if PRIORITIES.index(follower.priority) < PRIORITIES.index(run.priority):
            self._delivery.enqueue(run.id, run.attempt, priority=follower.priority)

    def get(self, job_id: str, *, owner: str | None = None) -> JobRecord:
        """
        Return a job as its owner sees it; from storage if Redis no longer has it.

        Raises:
            JobNotFound: There is no such job, or it belongs to another owner than `owner`.
        """
        record = self._history.find(job_id) if is_job_id(job_id) else None
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
            InvalidRequest: The cursor is not one of ours.
        """
        return list_jobs(self._redis, owner, query, self._history.in_redis)

    def cancel(self, job_id: str, *, is_gone: bool = False) -> bool:
        """
        Cancel a job; returns False if it had ended.

        Its run goes on if other jobs wait for it. Otherwise its worker notices at its next report.

        Args:
            is_gone: Whether the owner did not ask for it, but their connection ended
                (`Callers.abandon`). Then it is not cancelled if a caller is back. If its
                Idempotency-Key is sent later, a new job is made.
        """
        is_cancelled = self._moves.leave(job_id, is_gone=is_gone)
        if is_cancelled:
            self._following.settle_or_leave(job_id)
        return is_cancelled

    def delete(self, job_id: str) -> JobRecord:
        """
        Cancel a job if it has not ended, then remove its audio, result and record.

        Returns:
            The job as it stood at its end.
        """
        # Not `cancel`, which keeps a record: a full disk must not be in the way.
        if is_job_id(job_id):
            self._moves.leave(job_id)
        record = self.get(job_id)
        self._following.remove(job_id)
        return record

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
        if not self.is_known(job_id):  # Redis lost it; storage has what it was
            if self._history.find(job_id) is None:  # unless it was deleted just now
                raise JobNotFound(f"there is no job {job_id[:64]!r}")
            self._redis.hset(JOB.of(job_id), mapping=to_hash(record))
            self._redis.zadd(JOBS.of(record.owner), {job_id: record.created_at})
        outcome = self._moves.retry(job_id)
        record = self.get(job_id)
        if outcome == "begun":
            self._delivery.enqueue(job_id, record.attempt, priority=record.priority)
        elif record.status.is_final:  # as its run, which had gone on for others
            self._history.keep(job_id)
        return record

    def edit(self, job_id: str, changes: Mapping[str, Any]) -> JobRecord:
        """Change `label` or `speaker_names` of a job; the one that is not named stays."""
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

    def is_known(self, job_id: str) -> bool:
        """Whether Redis has a record of a job."""
        return bool(self._redis.exists(JOB.of(job_id)))

    def have_ended(self, job_ids: Sequence[str]) -> Sequence[bool]:
        """Whether each job has ended for its owner, or is no longer there."""
        pipe = self._redis.pipeline(transaction=False)
        for job_id in job_ids:
            pipe.hget(JOB.of(job_id), "status")
        return [s is None or Status(s.decode()).is_final for s in pipe.execute()]

    def ended_since(self, since: float, most: int) -> Sequence[JobRecord]:
        """The newest jobs of all owners that ended since a time, in the order of their ends."""
        records = self._history.in_redis(self.ended.newest(since, most))
        return [record for record in records if record is not None and record.status.is_final]

    def cancel_abandoned(self) -> Sequence[str]:
        """Cancel the jobs whose callers went away some time ago; return their ids."""
        due = self.callers.abandoned()
        cancelled = [job_id for job_id in due if self.cancel(job_id, is_gone=True)]
        if due:
            self.callers.keep(*due)
        return cancelled
