"""What is told of jobs: to their owners, to receivers of their ends, in totals."""

from __future__ import annotations

import json

from job_traces import events

from shared.transcript import Warned


def test_every_change_is_told_to_the_owner_of_every_job_it_is_about(
    jobs, redis, share, make_transcript
):
    first, second = share(owner="ann"), share(owner="bob")
    jobs.runs.claim(first.id, 1, "w1")
    jobs.runs.report(first.id, 1, {"stage": "transcribe", "progress": 0.5})
    jobs.runs.report(first.id, 1, {})  # the lease alone is no news
    jobs.runs.finish(first.id, 1, make_transcript())

    told = [(data["status"], data["progress"]) for _, data, _ in events(redis, first.id)]
    assert told == [("queued", 0), ("running", 0), ("running", 0.5), ("succeeded", 1)]
    theirs = events(redis, second.id)
    assert [(data["status"], data["job_id"]) for _, data, _ in theirs] == [
        (status, second.id) for status in ("queued", "running", "running", "succeeded")
    ]
    assert {owner for _, _, owner in theirs} == {"bob"}


def test_an_owner_who_left_is_told_of_the_end_and_no_more(jobs, redis, share, make_transcript):
    first, _ = share(), share()
    jobs.runs.claim(first.id, 1, "w1")
    jobs.cancel(first.id)
    jobs.runs.report(first.id, 1, {"progress": 0.5})
    jobs.runs.finish(first.id, 1, make_transcript())

    assert [data["status"] for _, data, _ in events(redis, first.id)] == [
        "queued", "running", "cancelled",
    ]  # fmt: skip


def test_the_end_of_a_job_with_a_callback_is_put_down_to_be_told(
    jobs, redis, share, make_transcript
):
    url = "https://example.org/hook"
    first, second, silent = share(callback_url=url), share(callback_url=url), share()
    jobs.runs.claim(first.id, 1, "w1")
    jobs.cancel(first.id)
    told_early = redis.zrange("longhand:webhooks", 0, -1)
    jobs.runs.finish(first.id, 1, make_transcript())

    assert told_early == [first.id.encode()]
    told = set(redis.zrange("longhand:webhooks", 0, -1))
    assert told == {first.id.encode(), second.id.encode()}
    ended = set(redis.zrange("longhand:ended", 0, -1))
    assert ended == {job.id.encode() for job in (first, second, silent)}


def test_what_all_jobs_took_is_added_up(jobs, redis, share, make_transcript):
    job_id = share().id
    jobs.runs.claim(job_id, 1, "w1")
    jobs.runs.report(job_id, 1, {"stages_s": json.dumps({"decode": 0.5, "transcribe": 1.5})})
    jobs.runs.finish(job_id, 1, make_transcript())
    totals = {k.decode(): float(v) for k, v in redis.hgetall("longhand:totals").items()}

    assert totals["jobs:succeeded"] == 1
    assert totals["audio_s"] == 2.0
    assert totals["stage_s:transcribe"] == 1.5
    assert totals["stage_n:decode"] == 1
    assert totals["work_s"] > 0


def test_the_end_of_a_job_is_told_with_its_warnings_also_to_those_who_share_it(
    jobs, redis, share, make_transcript
):
    first, second = share(owner="ann"), share(owner="bob")
    jobs.runs.claim(first.id, 1, "w1")
    warned = Warned(code="demo_model", message="made up")
    jobs.runs.finish(first.id, 1, make_transcript(warnings=(warned,)))
    later = share(owner="eve")

    for job in (first, second, later):
        assert events(redis, job.id)[-1][1]["warnings"] == [warned.model_dump()]
        assert jobs.get(job.id).warnings == (warned,)
    assert "warnings" not in events(redis, first.id)[0][1]
