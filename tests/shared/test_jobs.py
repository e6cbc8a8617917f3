"""A job's life, against a real Redis: who may move it, and what outlives what."""

from __future__ import annotations

import json
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis_line import RedisLine

from shared.connections import connect_patiently
from shared.errors import EngineFailed, JobNotFound, StorageFull
from shared.jobs import Jobs
from shared.records import Status, job_prefix
from shared.storage import KeyNotFound


@pytest.fixture
def forgetful(redis, storage):
    """Jobs whose leases run out at once."""
    return Jobs(redis, storage, lease_s=0, max_attempts=3)


@pytest.fixture
def files_of(tmp_path):
    """Names of what is stored for a job."""

    def files_of(job_id):
        directory = tmp_path / "storage" / job_prefix(job_id)
        return sorted(str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file())

    return files_of


def test_a_submitted_job_is_queued_and_reads_back_equal(jobs, submit):
    record = submit(model="demo", language="zh")

    assert jobs.get(record.id) == record
    assert (record.status, record.attempt) == (Status.QUEUED, 1)
    assert record.audio.filename == "会议录音.mp3"
    assert jobs.counts() == {"queued": 1, "running": 0}


def test_a_job_runs_reports_and_succeeds(jobs, submit, make_transcript):
    job_id = submit().id
    claimed = jobs.claim(job_id, 1, "worker-a")
    reported = jobs.report(job_id, 1, {"stage": "transcribe", "progress": 0.5, "audio_done_s": 1})
    halfway = jobs.get(job_id)
    finished = jobs.finish(job_id, 1, make_transcript((0.0, 2.0, " hi")))
    record = jobs.get(job_id)

    assert (claimed.status, claimed.worker, claimed.stage) == ("running", "worker-a", "decode")
    assert reported and finished
    assert (halfway.stage, halfway.progress, halfway.audio_done_s) == ("transcribe", 0.5, 1.0)
    assert (record.status, record.progress, record.audio_done_s) == ("succeeded", 1.0, 2.0)
    assert record.created_at <= record.started_at <= record.ended_at
    assert jobs.read_transcript(record).text == "hi"
    assert jobs.counts() == {"queued": 0, "running": 0}


def test_a_failed_job_has_its_error(jobs, submit):
    job_id = submit().id
    jobs.claim(job_id, 1, "worker-a")
    error = EngineFailed("no memory left").to_value()

    assert jobs.fail(job_id, 1, error)
    assert (jobs.get(job_id).status, jobs.get(job_id).error) == (Status.FAILED, error)


def test_only_one_of_twenty_claims_wins(jobs, submit):
    job_id = submit().id
    together = threading.Barrier(20)

    def claim(number):
        together.wait()
        return jobs.claim(job_id, 1, f"worker-{number}")

    with ThreadPoolExecutor(20) as threads:
        claims = [claim for claim in threads.map(claim, range(20)) if claim]

    assert [claim.worker for claim in claims] == [jobs.get(job_id).worker]


def test_a_queued_job_cannot_be_finished_failed_or_reported(jobs, submit, make_transcript):
    job_id = submit().id

    assert not jobs.report(job_id, 1, {"progress": 0.5})
    assert not jobs.fail(job_id, 1, EngineFailed("no").to_value())
    assert not jobs.finish(job_id, 1, make_transcript())
    assert jobs.get(job_id).status is Status.QUEUED


def test_a_job_that_ended_does_not_move_again(jobs, submit, make_transcript):
    job_id = submit().id
    jobs.claim(job_id, 1, "worker-a")
    jobs.finish(job_id, 1, make_transcript())
    before = jobs.get(job_id)

    assert jobs.claim(job_id, 1, "worker-b") is None
    assert not jobs.report(job_id, 1, {"progress": 0.1})
    assert not jobs.fail(job_id, 1, EngineFailed("late").to_value())
    assert not jobs.cancel(job_id)
    assert jobs.get(job_id) == before


def test_a_superseded_attempt_cannot_publish_and_leaves_no_file(
    forgetful, submit, make_transcript, files_of
):
    job_id = submit().id
    forgetful.claim(job_id, 1, "worker-a")
    forgetful.reap()
    forgetful.claim(job_id, 2, "worker-b")
    late = forgetful.finish(job_id, 1, make_transcript((0.0, 1.0, " late")))
    files_after_late = files_of(job_id)
    forgetful.finish(job_id, 2, make_transcript((0.0, 1.0, " good")))

    assert not late
    assert files_after_late == []
    assert forgetful.read_transcript(forgetful.get(job_id)).text == "good"
    assert files_of(job_id) == ["2/result.json", "record.json"]


def test_a_job_whose_lease_ran_out_is_delivered_again(forgetful, redis, submit):
    job_id = submit().id
    forgetful.claim(job_id, 1, "worker-a")
    reaped = forgetful.reap()
    record = forgetful.get(job_id)

    assert reaped == [job_id]
    assert (record.status, record.attempt, record.worker) == (Status.QUEUED, 2, None)
    assert f"{job_id}-2".encode() in redis.lrange("rq:queue:longhand", 0, -1)
    assert forgetful.claim(job_id, 1, "worker-a") is None
    assert forgetful.claim(job_id, 2, "worker-b").worker == "worker-b"


def test_the_third_lost_worker_fails_the_job(forgetful, submit):
    job_id = submit().id
    for attempt in (1, 2, 3):
        forgetful.claim(job_id, attempt, f"worker-{attempt}")
        forgetful.reap()
    record = forgetful.get(job_id)

    assert (record.status, record.attempt) == (Status.FAILED, 3)
    assert record.error["code"] == "worker_lost"
    assert record.error["message"].startswith("3 workers died over this job")


def test_a_renewed_lease_is_not_reaped(jobs, submit):
    job_id = submit().id
    jobs.claim(job_id, 1, "worker-a")

    assert jobs.reap() == []
    assert jobs.get(job_id).status is Status.RUNNING


def test_a_report_renews_the_lease(forgetful, jobs, submit):
    job_id = submit().id
    forgetful.claim(job_id, 1, "worker-a")
    jobs.report(job_id, 1, {"progress": 0.5})

    assert jobs.reap() == []
    assert jobs.counts()["running"] == 1


def test_a_lost_slip_is_replaced_once(jobs, redis, submit):
    job_id = submit().id
    redis.delete("rq:queue:longhand")
    first, second = jobs.redeliver_lost_slips(0), jobs.redeliver_lost_slips(0)

    assert (first, second) == ([job_id], [])
    assert redis.lrange("rq:queue:longhand", 0, -1) == [f"{job_id}-1".encode()]
    assert jobs.claim(job_id, 1, "worker-a") is not None
    assert jobs.claim(job_id, 1, "worker-b") is None


def test_a_slip_not_missing_for_long_is_left_alone(jobs, redis, submit):
    submit()
    redis.delete("rq:queue:longhand")

    assert jobs.redeliver_lost_slips(10) == []


def test_jobs_that_have_their_slips_cost_the_reaper_nothing_each(jobs, redis, submit):
    for _ in range(50):
        submit()
    before = redis.info("stats")["total_commands_processed"]
    lost = jobs.redeliver_lost_slips(0)

    assert lost == []
    assert redis.info("stats")["total_commands_processed"] - before < 15


def test_a_running_job_gets_no_second_slip(jobs, redis, submit):
    jobs.claim(submit().id, 1, "worker-a")
    redis.delete("rq:queue:longhand")

    assert jobs.redeliver_lost_slips(0) == []


def test_a_cancelled_job_is_taken_from_its_worker(jobs, submit, make_transcript, files_of):
    job_id = submit().id
    jobs.claim(job_id, 1, "worker-a")

    assert jobs.cancel(job_id)
    assert not jobs.report(job_id, 1, {"progress": 0.5})
    assert not jobs.finish(job_id, 1, make_transcript())
    assert jobs.get(job_id).status is Status.CANCELLED
    assert files_of(job_id) == ["record.json"]


def test_a_job_cancelled_in_the_queue_is_never_claimed(jobs, submit):
    job_id = submit().id
    jobs.cancel(job_id)

    assert jobs.claim(job_id, 1, "worker-a") is None
    assert jobs.counts() == {"queued": 0, "running": 0}


def test_a_deleted_job_leaves_nothing(jobs, redis, storage, submit, make_transcript, tmp_path):
    record = submit()
    with storage.create(record.audio.key) as out:
        out.write(b"mp3")
    jobs.claim(record.id, 1, "worker-a")
    jobs.finish(record.id, 1, make_transcript())
    jobs.delete(record.id)

    assert [p for p in (tmp_path / "storage").rglob("*") if p.is_file()] == []
    assert list(redis.scan_iter("longhand:job*")) == []
    with pytest.raises(JobNotFound):
        jobs.get(record.id)


def test_a_running_job_that_is_deleted_cannot_come_back(jobs, submit, make_transcript, files_of):
    job_id = submit().id
    jobs.claim(job_id, 1, "worker-a")
    deleted = jobs.delete(job_id)

    assert deleted.status is Status.CANCELLED
    assert not jobs.finish(job_id, 1, make_transcript())
    assert files_of(job_id) == []
    with pytest.raises(JobNotFound):
        jobs.get(job_id)


@pytest.mark.parametrize("job_id", ["", "x", "../../x", "0" * 31, "A" * 32, "0" * 33, "5e" * 16])
def test_a_job_that_is_not_there_is_not_found(jobs, job_id):
    with pytest.raises(JobNotFound):
        jobs.get(job_id)
    with pytest.raises(JobNotFound):
        jobs.delete(job_id)

    assert not jobs.cancel(job_id)


def test_a_job_is_not_found_by_another_owner(jobs, submit):
    job_id = submit().id

    assert jobs.get(job_id, owner="local").id == job_id
    with pytest.raises(JobNotFound):
        jobs.get(job_id, owner="somebody")


def test_the_newest_jobs_come_first(jobs, submit):
    ids = [submit().id for _ in range(3)]

    assert [record.id for record in jobs.newest()] == ids[::-1]
    assert [record.id for record in jobs.newest(limit=1)] == ids[2:]
    assert jobs.newest(owner="somebody") == []


@pytest.mark.parametrize("ending", ["succeeded", "failed", "cancelled", "worker_lost"])
def test_an_ended_job_outlives_redis(jobs, forgetful, redis, submit, make_transcript, ending):
    job_id = submit(language="zh").id
    if ending == "succeeded":
        jobs.claim(job_id, 1, "worker-a")
        jobs.finish(job_id, 1, make_transcript((0.0, 1.0, "头发")))
    elif ending == "failed":
        jobs.claim(job_id, 1, "worker-a")
        jobs.fail(job_id, 1, EngineFailed("no").to_value())
    elif ending == "cancelled":
        jobs.cancel(job_id)
    else:
        for attempt in (1, 2, 3):
            forgetful.claim(job_id, attempt, "worker-a")
            forgetful.reap()
    before = jobs.get(job_id)
    redis.flushall()

    assert before.status.is_final
    assert jobs.get(job_id) == before
    if ending == "succeeded":
        assert jobs.read_transcript(jobs.get(job_id)).text == "头发"


def test_an_archived_job_can_be_deleted(jobs, redis, submit, files_of):
    job_id = submit().id
    jobs.cancel(job_id)
    redis.flushall()
    jobs.delete(job_id)

    assert files_of(job_id) == []
    with pytest.raises(JobNotFound):
        jobs.get(job_id)


def test_a_finished_result_that_was_removed_is_not_found(jobs, storage, submit, make_transcript):
    job_id = submit().id
    jobs.claim(job_id, 1, "worker-a")
    jobs.finish(job_id, 1, make_transcript())
    storage.delete_all(f"{job_prefix(job_id)}/1")

    with pytest.raises(KeyNotFound):
        jobs.read_transcript(jobs.get(job_id))


def test_a_job_whose_gateway_dies_before_it_has_a_slip_is_delivered(jobs, redis, submit):
    record = submit()
    redis.delete("rq:queue:longhand")  # as if it had never come to that

    assert jobs.redeliver_lost_slips(0) == [record.id]
    assert redis.lrange("rq:queue:longhand", 0, -1) == [f"{record.id}-1".encode()]


def test_a_job_is_written_by_one_script_or_not_at_all(redis, submit):
    with redis.monitor() as monitor:
        submit()
        redis.echo("end")
        commands = []
        while not (command := monitor.next_command())["command"].startswith("ECHO"):
            commands.append((command["command"].split()[0], command["client_type"]))
    slip = [name for name, client in commands].index("MULTI")
    own = {name for name, client in commands[:slip] if client != "lua"}

    assert own <= {"EVALSHA", "SCRIPT", "CLIENT", "HELLO", "AUTH", "SELECT", "INFO"}
    assert ("HSET", "lua") in commands[:slip]


def stored_values(redis):
    """Every string below every key, whatever its type."""
    for key in redis.scan_iter():
        kind = redis.type(key)
        if kind == b"hash":
            yield from redis.hgetall(key).values()
        elif kind == b"list":
            yield from redis.lrange(key, 0, -1)
        elif kind == b"stream":
            yield from (value for _, entry in redis.xrange(key) for value in entry.values())
        elif kind == b"set":
            yield from redis.smembers(key)
        elif kind == b"zset":
            yield from redis.zrange(key, 0, -1)
        else:
            yield redis.get(key)


def test_nothing_in_redis_is_a_pickle(redis, jobs, submit):
    jobs.claim(submit(prompt="头发").id, 1, "worker-a")
    submit()
    texts, compressed = [], []
    for value in stored_values(redis):
        try:
            texts.append(value.decode())
        except UnicodeDecodeError:
            compressed.append(json.loads(zlib.decompress(value)))

    assert texts
    assert {call[0] for call in compressed} == {"worker.job.run_job"}


@pytest.fixture
def line(redis_url):
    """A connection to Redis that can lose an answer."""
    with RedisLine(redis_url) as line:
        yield line


@pytest.fixture
def distant(line, storage):
    """Jobs as a worker at the end of that line sees them."""
    with connect_patiently(line.url) as redis:
        yield Jobs(redis, storage, lease_s=30, max_attempts=3)


def test_a_result_is_kept_when_redis_answer_to_its_publication_is_lost(
    distant, line, submit, make_transcript
):
    job_id = submit().id
    distant.claim(job_id, 1, "worker-a")
    line.lose_answer_to(b"EVALSHA")
    finished = distant.finish(job_id, 1, make_transcript((0.0, 1.0, " hi")))

    assert finished
    assert line.n_lost == 1
    assert distant.read_transcript(distant.get(job_id)).text == "hi"


def test_a_claim_is_had_when_redis_answer_to_it_is_lost(distant, line, jobs, submit):
    job_id = submit().id
    line.lose_answer_to(b"EVALSHA")
    claimed = distant.claim(job_id, 1, "worker-a")

    assert claimed.worker == "worker-a"
    assert jobs.claim(job_id, 1, "worker-a") is None


def make_unreadable(redis, job_id):
    """Let a job be one of a newer gateway."""
    redis.hset(f"longhand:job:{job_id}", "request", json.dumps({"mood": "calm"}))


def test_a_job_that_cannot_be_read_fails_and_says_so(jobs, redis, submit):
    job_id = submit().id
    make_unreadable(redis, job_id)
    claimed = jobs.claim(job_id, 1, "worker-a")

    assert claimed is None
    assert redis.hget(f"longhand:job:{job_id}", "status") == b"failed"
    assert b"must not be older than the gateway" in redis.hget(f"longhand:job:{job_id}", "error")


def test_a_job_that_cannot_be_read_keeps_no_other_from_being_reaped(forgetful, redis, submit):
    first, second = submit().id, submit().id
    for job_id in (first, second):
        forgetful.claim(job_id, 1, "worker-a")
    make_unreadable(redis, first)

    assert set(forgetful.reap()) == {first, second}


def test_a_job_that_cannot_be_read_keeps_no_other_from_a_new_slip(jobs, redis, submit):
    first, second = submit().id, submit().id
    make_unreadable(redis, first)
    redis.delete("rq:queue:longhand")

    assert set(jobs.redeliver_lost_slips(0)) == {first, second}


def test_a_job_queued_again_has_made_no_progress(forgetful, submit):
    job_id = submit().id
    forgetful.claim(job_id, 1, "worker-a")
    forgetful.report(job_id, 1, {"progress": 0.7, "audio_done_s": 1.4})
    forgetful.reap()

    assert (forgetful.get(job_id).progress, forgetful.get(job_id).audio_done_s) == (0.0, 0.0)


class StorageThat:
    """A real storage that does something before an object is created."""

    def __init__(self, storage, before):
        self._storage = storage
        self._before = before

    def __getattr__(self, name):
        return getattr(self._storage, name)

    def create(self, key):
        self._before(key)
        return self._storage.create(key)


def test_a_job_deleted_while_it_is_archived_does_not_come_back(jobs, redis, storage, submit):
    archiving = Jobs(
        redis,
        StorageThat(storage, lambda key: jobs.delete(key.split("/")[1])),
        lease_s=30,
        max_attempts=3,
    )
    job_id = submit().id
    archiving.cancel(job_id)

    with pytest.raises(JobNotFound):
        jobs.get(job_id)


def test_a_queued_job_can_be_deleted_while_storage_is_full(jobs, redis, storage, submit):
    def refuse(key):
        raise StorageFull("full")

    full = Jobs(redis, StorageThat(storage, refuse), lease_s=30, max_attempts=3)
    job_id = submit().id
    full.delete(job_id)

    with pytest.raises(JobNotFound):
        jobs.get(job_id)


def test_what_a_dead_worker_left_of_a_slip_is_removed(forgetful, redis, submit):
    job_id = submit().id
    redis.lmove("rq:queue:longhand", "rq:queue:longhand:intermediate")
    forgetful.claim(job_id, 1, "worker-a")
    forgetful.reap()

    assert not redis.exists(f"rq:job:{job_id}-1")
    assert redis.lrange("rq:queue:longhand:intermediate", 0, -1) == []
    assert redis.exists(f"rq:job:{job_id}-2")
