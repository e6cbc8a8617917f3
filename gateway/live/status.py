"""The present status of jobs: sent to a listener at first, and after events were lost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from redis import Redis

from gateway.live.events import Event, EventId, after_end_of, snapshot
from gateway.live.tail import Listener, readable
from shared.jobs import Jobs
from shared.keys import EVENTS
from shared.listing import JobQuery
from shared.records import JobRecord, Status

_TRIES = 3
_MOST = 1000
"""Most jobs that are sent of each kind: not ended yet, and ended meanwhile."""


class NothingLeft(Exception):
    """The job has ended and the caller knows it: there will be no more events."""


@dataclass(frozen=True)
class StatusReader:
    """Reads the status of jobs. Every method waits for Redis."""

    redis: Redis
    jobs: Jobs

    def first(self, listener: Listener, after: EventId | None) -> list[Event]:
        """
        What a listener is sent first: the events they missed, or else the present status of jobs.

        Raises:
            JobNotFound: The owner has no such job.
            NothingLeft: There will be no more events.
        """
        if listener.job is None:
            return self.now(listener, after) if listener.missed is None else listener.missed
        record = self.jobs.get(listener.job, owner=listener.owner)
        if not record.status.is_final:
            return self.now(listener, after) if listener.missed is None else listener.missed
        missed = self._missed_till_now(listener)
        if any(event.is_final for event in missed):
            return missed
        knows_end = listener.has_heard_end or (after is not None and after >= after_end_of(record))
        if knows_end and not missed:
            raise NothingLeft
        return [*missed, snapshot(record, listener.position)]

    def _missed_till_now(self, listener: Listener) -> list[Event]:
        """What the listener missed, with events that the tail has not read yet."""
        if listener.missed is None:
            return []
        entries: Any = self.redis.xrange(EVENTS, f"({listener.position}", "+")
        newer = list(readable(entries))
        if newer:
            listener.position = newer[-1].id
        return listener.missed + [event for event in newer if listener.wants(event)]

    def now(self, listener: Listener, since: EventId | None) -> list[Event]:
        """
        The status of the listener's job; or of all jobs that have not ended or ended meanwhile.

        The listener's position moves past these events, so the queue does not bring them again.

        Args:
            since: The last event the listener got; None if they got none, and need no ended jobs.

        Raises:
            JobNotFound: The job is no longer there.
        """
        for _ in range(_TRIES):
            at = self._newest(listener.position)
            records = self._read(listener, since)
            if self._newest(at) == at:
                break  # else an event during the reading may be in them, and would be sent twice
        listener.position = at
        if listener.job is not None:
            return [snapshot(record, at) for record in records]
        # All get the id `at`. The later id of a job that ended would skip events of other jobs.
        return [replace(snapshot(record, at), id=at) for record in records]

    def _newest(self, known: EventId) -> EventId:
        """The id of the newest event."""
        found: Any = self.redis.xrevrange(EVENTS, count=1)
        return max(known, EventId.parse(found[0][0].decode())) if found else known

    def _read(self, listener: Listener, since: EventId | None) -> list[JobRecord]:
        if listener.job is not None:
            return [self.jobs.get(listener.job, owner=listener.owner)]
        ended = [] if since is None else self._ended(listener.owner, since)
        return [*self._unfinished(listener.owner), *ended]

    def _unfinished(self, owner: str) -> Iterable[JobRecord]:
        """Oldest first."""
        query = JobQuery(statuses=(Status.QUEUED, Status.RUNNING), limit=_MOST)
        return reversed(self.jobs.list(owner, query).records)

    def _ended(self, owner: str, since: EventId) -> Iterable[JobRecord]:
        """In the order of their ends."""
        # Event ids and the ends of jobs are both from Redis's clock.
        ended = self.jobs.ended_since(since.ms / 1000, _MOST)
        return [record for record in ended if record.owner == owner]
