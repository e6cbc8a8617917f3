"""Jobs delivered again: leases that ran out, slips that were lost, records nobody can read."""

from __future__ import annotations

import json

from shared.records import Status


def test_a_superseded_attempt_cannot_publish_and_leaves_no_file(
    forgetful, submit, make_transcript, files_of
):
    job_id = submit().id
    forgetful.runs.claim(job_id, 1, "worker-a")
    forgetful.runs.reap()
    forgetful.runs.claim(job_id, 2, "worker-b")
    late = forgetful.runs.finish(job_id, 1, make_transcript((0.0, 1.0, " late")))
    files_after_late = files_of(job_id)
    forgetful.runs.finish(job_id, 2, make_transcript((0.0, 1.0, " good")))

    assert not late
    assert files_after_late == []
    assert forgetful.read_transcript(forgetful.get(job_id)).text == "good"
    assert files_of(job_id) == ["2/result.json", "record.json"]


def test_a_job_whose_lease_ran_out_is_delivered_again(forgetful, redis, submit):
    job_id = submit().id
    forgetful.runs.claim(job_id, 1, "worker-a")
    reaped = forgetful.runs.reap()
    record = forgetful.get(job_id)

    assert reaped == [job_id]
    assert (record.status, record.attempt, record.worker) == (Status.QUEUED, 2, None)
    assert f"{job_id}-2".encode() in redis.lrange("rq:queue:longhand", 0, -1)
    assert forgetful.runs.claim(job_id, 1, "worker-a") is None
    assert forgetful.runs.claim(job_id, 2, "worker-b").worker == "worker-b"


def test_the_third_lost_worker_fails_the_job(forgetful, submit):
    job_id = submit().id
    for attempt in (1, 2, 3):
        forgetful.runs.claim(job_id, attempt, f"worker-{attempt}")
        forgetful.runs.reap()
    record = forgetful.get(job_id)

    assert (record.status, record.attempt) == (Status.FAILED, 3)
    assert record.error["code"] == "worker_lost"
    assert record.error["message"].startswith("3 workers died over this job")


def test_a_renewed_lease_is_not_reaped(jobs, submit):
    job_id = submit().id
    jobs.runs.claim(job_id, 1, "worker-a")

    assert jobs.runs.reap() == []
    assert jobs.get(job_id).status is Status.RUNNING


def test_a_report_renews_the_lease(forgetful, jobs, submit):
    job_id = submit().id
    forgetful.runs.claim(job_id, 1, "worker-a")
    jobs.runs.report(job_id, 1, {"progress": 0.5})

    assert jobs.runs.reap() == []
    assert jobs.figures.counts()["running"] == 1


def test_a_lost_slip_is_replaced_once(jobs, redis, submit):
    job_id = submit().id
    redis.delete("rq:queue:longhand")
    first, second = jobs.runs.redeliver_lost_slips(0), jobs.runs.redeliver_lost_slips(0)

    assert (first, second) == ([job_id], [])
    assert redis.lrange("rq:queue:longhand", 0, -1) == [f"{job_id}-1".encode()]
    assert jobs.runs.claim(job_id, 1, "worker-a") is not None
    assert jobs.runs.claim(job_id, 1, "worker-b") is None


def test_a_slip_not_missing_for_long_is_left_alone(jobs, redis, submit):
    submit()
    redis.delete("rq:queue:longhand")

    assert jobs.runs.redeliver_lost_slips(10) == []


def test_jobs_that_have_their_slips_cost_the_reaper_nothing_each(jobs, redis, submit):
    for _ in range(50):
        submit()
    before = redis.info("stats")["total_commands_processed"]
    lost = jobs.runs.redeliver_lost_slips(0)

    assert lost == []
    assert redis.info("stats")["total_commands_processed"] - before < 15


def test_a_running_job_gets_no_second_slip(jobs, redis, submit):
    jobs.runs.claim(submit().id, 1, "worker-a")
    redis.delete("rq:queue:longhand")

    assert jobs.runs.redeliver_lost_slips(0) == []


def test_a_job_whose_gateway_dies_before_it_has_a_slip_is_delivered(jobs, redis, submit):
    record = submit()
    redis.delete("rq:queue:longhand")  # as if it had never come to that

    assert jobs.runs.redeliver_lost_slips(0) == [record.id]
    assert redis.lrange("rq:queue:longhand", 0, -1) == [f"{record.id}-1".encode()]


def make_unreadable(redis, job_id):
    """Let a job be one of a newer gateway."""
    for kind in ("job", "run"):
        redis.hset(f"longhand:{kind}:{job_id}", "request", json.dumps({"mood": "calm"}))


def test_a_job_that_cannot_be_read_fails_and_says_so(jobs, redis, submit):
    job_id = submit().id
    make_unreadable(redis, job_id)
    claimed = jobs.runs.claim(job_id, 1, "worker-a")

    assert claimed is None
    assert redis.hget(f"longhand:job:{job_id}", "status") == b"failed"
    assert b"must not be older than the gateway" in redis.hget(f"longhand:job:{job_id}", "error")


def test_a_job_that_cannot_be_read_keeps_no_other_from_being_reaped(forgetful, redis, submit):
    first, second = submit().id, submit().id
    for job_id in (first, second):
        forgetful.runs.claim(job_id, 1, "worker-a")
    make_unreadable(redis, first)

    assert set(forgetful.runs.reap()) == {first, second}


def test_a_job_that_cannot_be_read_keeps_no_other_from_a_new_slip(jobs, redis, submit):
    first, second = submit().id, submit().id
    make_unreadable(redis, first)
    redis.delete("rq:queue:longhand")

    assert set(jobs.runs.redeliver_lost_slips(0)) == {first, second}


def test_a_job_queued_again_has_made_no_progress(forgetful, submit):
    job_id = submit().id
    forgetful.runs.claim(job_id, 1, "worker-a")
    forgetful.runs.report(job_id, 1, {"progress": 0.7, "audio_done_s": 1.4})
    forgetful.runs.reap()

    assert (forgetful.get(job_id).progress, forgetful.get(job_id).audio_done_s) == (0.0, 0.0)


def test_what_a_dead_worker_left_of_a_slip_is_removed(forgetful, redis, submit):
    job_id = submit().id
    redis.lmove("rq:queue:longhand", "rq:queue:longhand:intermediate")
    forgetful.runs.claim(job_id, 1, "worker-a")
    forgetful.runs.reap()

    assert not redis.exists(f"rq:job:{job_id}-1")
    assert redis.lrange("rq:queue:longhand:intermediate", 0, -1) == []
    assert redis.exists(f"rq:job:{job_id}-2")
