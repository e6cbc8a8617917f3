"""Lists an owner's jobs, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from shared.errors import InvalidRequest
from shared.keys import JOBS
from shared.records import JobRecord, Status, is_job_id

_AT_ONCE = 200
_MOST_READ = 5000
"""The most jobs that are read for one page. A search that finds few continues at the cursor."""


@dataclass(frozen=True)
class JobQuery:
    """
    Which jobs are wanted.

    Attributes:
        statuses: Those with one of these; empty for all.
        label: Those with this label.
        search: Those with this text in label, filename or id, in upper or lower case.
        since, until: Those made at `since` or later, and before `until`; seconds since the epoch.
        limit: The most jobs in one page.
        cursor: The `next_cursor` of the page before.
    """

    statuses: tuple[Status, ...] = ()
    label: str | None = None
    search: str | None = None
    since: float | None = None
    until: float | None = None
    limit: int = 100
    cursor: str | None = None

    def wants(self, record: JobRecord) -> bool:
        """Whether a job is one of them, whenever it was made."""
        if self.statuses and record.status not in self.statuses:
            return False
        if self.label is not None and record.label != self.label:
            return False
        if self.search:
            told = (record.label or "", record.audio.filename, record.id)
            return any(self.search.casefold() in text.casefold() for text in told)
        return True


@dataclass(frozen=True)
class JobPage:
    """Some jobs, newest first; `next_cursor` is None on the last page."""

    records: Sequence[JobRecord]
    next_cursor: str | None


def list_jobs(
    redis: Redis,
    owner: str,
    query: JobQuery,
    read: Callable[[Sequence[str]], Sequence[JobRecord | None]],
) -> JobPage:
    """
    Find an owner's jobs.

    Args:
        read: Returns the jobs with some ids; None for one that does not exist.

    Raises:
        InvalidRequest: The cursor is not one of ours.
    """
    found: list[JobRecord] = []
    n_read, at = 0, query.cursor
    for entries in _pages(redis, owner, query):
        for (job_id, score), record in zip(entries, read([e[0] for e in entries]), strict=True):
            if record is not None and query.wants(record):
                if len(found) == query.limit:
                    return JobPage(found, at)
                found.append(record)
            at = f"{score!r}-{job_id}"
        n_read += len(entries)
        if n_read >= _MOST_READ:
            return JobPage(found, at)
    return JobPage(found, None)


def _pages(redis: Redis, owner: str, query: JobQuery) -> Iterator[list[tuple[str, float]]]:
    """Ids and times of an owner's jobs made between `since` and `until`, newest first."""
    at = _read_cursor(query.cursor)
    highest: str | float = "+inf" if query.until is None else f"({query.until!r}"
    if at is not None and (query.until is None or at[0] < query.until):
        highest = at[0]
    lowest = "-inf" if query.since is None else query.since
    skipped = 0
    while True:
        reply: Any = redis.zrevrangebyscore(
            JOBS.of(owner), highest, lowest, start=skipped, num=_AT_ONCE, withscores=True
        )
        entries = [(name.decode(), score) for name, score in reply]
        # Jobs of the same time come in the reverse order of their ids.
        after = [(name, score) for name, score in entries if at is None or (score, name) < at]
        if after:
            yield after
        if len(entries) < _AT_ONCE:
            return
        # The next page begins at the last time, not at a count, since jobs come and go.
        name, score = entries[-1]
        skipped = skipped + len(entries) if score == highest else 0
        highest, at = score, (score, name)


def _read_cursor(cursor: str | None) -> tuple[float, str] | None:
    if cursor is None:
        return None
    score, _, job_id = cursor.rpartition("-")
    try:
        time_s = float(score)
    except ValueError:
        time_s = -1.0
    if not (0 <= time_s < float("inf") and is_job_id(job_id)):
        raise InvalidRequest(
            "cursor is none of ours; take the `next_cursor` of the page before", param="cursor"
        )
    return time_s, job_id
