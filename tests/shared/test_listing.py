"""Jobs as their owner lists, labels and names them."""

from __future__ import annotations

import pytest

from shared.errors import (
    JobNotFound,
)
from shared.listing import JobQuery
from shared.records import Status


def test_a_job_is_edited_and_stays_so_without_redis(jobs, redis, share, make_transcript):
    job_id = share().id
    jobs.runs.claim(job_id, 1, "w1")
    jobs.runs.finish(job_id, 1, make_transcript())
    jobs.edit(job_id, {"label": "board", "speaker_names": {"SPEAKER_00": "Ann"}})
    redis.flushall()
    record = jobs.get(job_id)

    assert (record.label, record.speaker_names) == ("board", {"SPEAKER_00": "Ann"})


def test_a_page_of_jobs_holds_what_was_asked_for_and_goes_on(jobs, share, make_transcript):
    made = [share(label="odd" if n % 2 else "even", cache_key=None) for n in range(10)]
    share(owner="bob")
    jobs.cancel(made[3].id)
    first = jobs.list("ann", JobQuery(label="odd", limit=2))
    second = jobs.list("ann", JobQuery(label="odd", limit=2, cursor=first.next_cursor))
    last = jobs.list("ann", JobQuery(label="odd", limit=2, cursor=second.next_cursor))

    newest = [record.id for record in reversed(made[1::2])]
    assert [r.id for page in (first, second, last) for r in page.records] == newest
    assert last.next_cursor is None
    cancelled = jobs.list("ann", JobQuery(statuses=(Status.CANCELLED,))).records
    assert [r.id for r in cancelled] == [made[3].id]
    assert len(jobs.list("ann", JobQuery(search="TALK")).records) == 10
    since = made[4].created_at
    recent = jobs.list("ann", JobQuery(since=since)).records
    assert [r.id for r in recent] == [r.id for r in reversed(made[4:])]
    earlier = jobs.list("ann", JobQuery(until=since)).records
    assert [r.id for r in earlier] == [r.id for r in reversed(made[:4])]


def test_a_job_deleted_while_it_is_edited_does_not_come_back(jobs, redis, share):
    job_id = share().id
    jobs.delete(job_id)

    with pytest.raises(JobNotFound):
        jobs.edit(job_id, {"label": "x"})
    assert redis.exists(f"longhand:job:{job_id}") == 0


def test_the_newest_jobs_come_first(jobs, submit):
    ids = [submit().id for _ in range(3)]

    assert [record.id for record in jobs.newest()] == ids[::-1]
    assert [record.id for record in jobs.newest(limit=1)] == ids[2:]
    assert jobs.newest(owner="somebody") == []
