"""A job's life, against a real Redis: who may move it, and how it is written."""

from __future__ import annotations

import json
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.errors import EngineFailed, JobNotFound
from shared.records import Status


def test_a_submitted_job_is_queued_and_reads_back_equal(jobs, submit):
    record = submit(model="demo", language="zh")

    assert jobs.get(record.id) == record
    assert (record.status, record.attempt) == (Status.QUEUED, 1)
    assert record.audio.filename == "会议录音.mp3"
    assert jobs.figures.counts() == {"queued": 1, "running": 0}


def test_a_job_runs_reports_and_succeeds(jobs, submit, make_transcript):
    job_id = submit().id
    claimed = jobs.runs.claim(job_id, 1, "worker-a")
    reported = jobs.runs.report(
        job_id, 1, {"stage": "transcribe", "progress": 0.5, "audio_done_s": 1}
    )
    halfway = jobs.get(job_id)
    finished = jobs.runs.finish(job_id, 1, make_transcript((0.0, 2.0, " hi")))
    record = jobs.get(job_id)

    assert (claimed.status, claimed.worker, claimed.stage) == ("running", "worker-a", "decode")
    assert reported and finished
    assert (halfway.stage, halfway.progress, halfway.audio_done_s) == ("transcribe", 0.5, 1.0)
    assert (record.status, record.progress, record.audio_done_s) == ("succeeded", 1.0, 2.0)
    assert record.created_at <= record.started_at <= record.ended_at
    assert jobs.read_transcript(record).text == "hi"
    assert jobs.figures.counts() == {"queued": 0, "running": 0}


def test_a_failed_job_has_its_error(jobs, submit):
    job_id = submit().id
    jobs.runs.claim(job_id, 1, "worker-a")
    error = EngineFailed("no memory left").to_value()

    assert jobs.runs.fail(job_id, 1, error)
    assert (jobs.get(job_id).status, jobs.get(job_id).error) == (Status.FAILED, error)


def test_only_one_of_twenty_claims_wins(jobs, submit):
    job_id = submit().id
    together = threading.Barrier(20)

    def claim(number):
        together.wait()
        return jobs.runs.claim(job_id, 1, f"worker-{number}")

    with ThreadPoolExecutor(20) as threads:
        claims = [claim for claim in threads.map(claim, range(20)) if claim]

    assert [claim.worker for claim in claims] == [jobs.get(job_id).worker]


def test_a_queued_job_cannot_be_finished_failed_or_reported(jobs, submit, make_transcript):
    job_id = submit().id

    assert not jobs.runs.report(job_id, 1, {"progress": 0.5})
    assert not jobs.runs.fail(job_id, 1, EngineFailed("no").to_value())
    assert not jobs.runs.finish(job_id, 1, make_transcript())
    assert jobs.get(job_id).status is Status.QUEUED


def test_a_job_that_ended_does_not_move_again(jobs, submit, make_transcript):
    job_id = submit().id
    jobs.runs.claim(job_id, 1, "worker-a")
    jobs.runs.finish(job_id, 1, make_transcript())
    before = jobs.get(job_id)

    assert jobs.runs.claim(job_id, 1, "worker-b") is None
    assert not jobs.runs.report(job_id, 1, {"progress": 0.1})
    assert not jobs.runs.fail(job_id, 1, EngineFailed("late").to_value())
    assert not jobs.cancel(job_id)
    assert jobs.get(job_id) == before


def test_a_cancelled_job_is_taken_from_its_worker(jobs, submit, make_transcript, files_of):
    job_id = submit().id
    jobs.runs.claim(job_id, 1, "worker-a")

    assert jobs.cancel(job_id)
    assert not jobs.runs.report(job_id, 1, {"progress": 0.5})
    assert not jobs.runs.finish(job_id, 1, make_transcript())
    assert jobs.get(job_id).status is Status.CANCELLED
    assert files_of(job_id) == ["record.json"]


def test_a_job_cancelled_in_the_queue_is_never_claimed(jobs, submit):
    job_id = submit().id
    jobs.cancel(job_id)

    assert jobs.runs.claim(job_id, 1, "worker-a") is None
    assert jobs.figures.counts() == {"queued": 0, "running": 0}


def test_a_deleted_job_leaves_nothing(jobs, redis, storage, submit, make_transcript, tmp_path):
    record = submit()
    with storage.create(record.audio.key) as out:
        out.write(b"mp3")
    jobs.runs.claim(record.id, 1, "worker-a")
    jobs.runs.finish(record.id, 1, make_transcript())
    jobs.delete(record.id)

    assert [p for p in (tmp_path / "storage").rglob("*") if p.is_file()] == []
    assert list(redis.scan_iter("longhand:job*")) == []
    with pytest.raises(JobNotFound):
        jobs.get(record.id)


def test_a_running_job_that_is_deleted_cannot_come_back(jobs, submit, make_transcript, files_of):
    job_id = submit().id
    jobs.runs.claim(job_id, 1, "worker-a")
    deleted = jobs.delete(job_id)

    assert deleted.status is Status.CANCELLED
    assert not jobs.runs.finish(job_id, 1, make_transcript())
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
    jobs.runs.claim(submit(prompt="头发").id, 1, "worker-a")
    submit()
    texts, compressed = [], []
    for value in stored_values(redis):
        try:
            texts.append(value.decode())
        except UnicodeDecodeError:
            compressed.append(json.loads(zlib.decompress(value)))

    assert texts
    assert {call[0] for call in compressed} == {"worker.job.run_job"}
