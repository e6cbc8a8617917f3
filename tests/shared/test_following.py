"""Jobs that share one run: which job begins it, and what happens to it when jobs leave."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from job_traces import AUDIO, slips
from redis import Redis

from shared.errors import (
    JobNotFound,
    StorageFull,
)
from shared.jobs import Jobs
from shared.records import Status


def test_a_second_job_shares_the_run_of_the_first(jobs, redis, share, make_transcript):
    first, second = share(), share(label="again")
    jobs.runs.claim(first.id, 1, "w1")
    jobs.runs.report(first.id, 1, {"stage": "transcribe", "progress": 0.5})
    halfway = jobs.get(second.id)
    jobs.runs.finish(first.id, 1, make_transcript((0.0, 2.0, " hi")))
    ended = jobs.get(second.id)

    assert len(slips(redis)) == 1
    assert (second.status, second.run_id) == (Status.QUEUED, first.id)
    assert (halfway.status, halfway.stage, halfway.progress) == ("running", "transcribe", 0.5)
    assert halfway.label == "again"
    assert (ended.status, ended.label, ended.progress) == (Status.SUCCEEDED, "again", 1.0)
    assert ended.result_key.startswith(f"jobs/{second.id}/")
    assert jobs.read_transcript(ended).text == "hi"
    assert second.created_at <= ended.started_at <= ended.ended_at


def test_a_job_of_audio_that_was_transcribed_has_the_result_at_once(
    jobs, redis, share, make_transcript
):
    first = share()
    jobs.runs.claim(first.id, 1, "w1")
    jobs.runs.finish(first.id, 1, make_transcript((0.0, 2.0, " hi")))
    later = share()
    jobs.delete(first.id)

    assert later.status is Status.SUCCEEDED
    assert jobs.read_transcript(jobs.get(later.id)).text == "hi"
    assert len(slips(redis)) == 1
    assert redis.hget("longhand:totals", "cache_hits") == b"1"


def test_once_all_results_are_deleted_the_audio_is_run_anew(jobs, share, make_transcript):
    first = share()
    jobs.runs.claim(first.id, 1, "w1")
    jobs.runs.finish(first.id, 1, make_transcript())
    jobs.delete(first.id)

    assert share().status is Status.QUEUED


def test_a_failed_run_is_not_taken_for_a_result(jobs, share):
    first, second = share(), share()
    jobs.runs.claim(first.id, 1, "w1")
    jobs.runs.fail(first.id, 1, {"code": "engine_failed", "message": "no"})

    assert jobs.get(second.id).error == {"code": "engine_failed", "message": "no"}
    assert (again := share()).run_id == again.id


@pytest.mark.parametrize("how", ["cancel", "delete"])
def test_a_run_goes_on_for_others_when_the_owner_of_its_first_job_leaves(
    jobs, redis, share, make_transcript, how, storage
):
    first, second = share(owner="ann"), share(owner="bob")
    jobs.runs.claim(first.id, 1, "w1")
    getattr(jobs, how)(first.id)

    if how == "delete":
        with pytest.raises(JobNotFound):
            jobs.get(first.id)
    else:
        assert jobs.get(first.id).status is Status.CANCELLED
        assert jobs.get(first.id).ended_at is not None
    assert jobs.runs.report(first.id, 1, {"progress": 0.7})
    assert jobs.runs.finish(first.id, 1, make_transcript((0.0, 2.0, " hi")))
    assert jobs.read_transcript(jobs.get(second.id)).text == "hi"
    if how == "delete":
        with pytest.raises(JobNotFound):
            jobs.get(first.id)
        assert redis.exists(f"longhand:job:{first.id}") == 0
    assert storage.read(second.audio.key) == AUDIO


@pytest.mark.parametrize("how", ["cancel", "delete"])
def test_a_run_stops_when_its_last_job_leaves(jobs, share, make_transcript, how):
    first, second = share(), share()
    jobs.runs.claim(first.id, 1, "w1")
    getattr(jobs, how)(first.id)
    still_runs = jobs.runs.report(first.id, 1, {"progress": 0.7})
    getattr(jobs, how)(second.id)

    assert still_runs
    assert not jobs.runs.report(first.id, 1, {"progress": 0.8})
    assert not jobs.runs.finish(first.id, 1, make_transcript())
    assert (again := share()).run_id == again.id


def test_a_job_that_leaves_disturbs_no_other(jobs, share, make_transcript):
    first, second, other = share(), share(), share()
    jobs.runs.claim(first.id, 1, "w1")
    jobs.cancel(second.id)
    jobs.runs.finish(first.id, 1, make_transcript())

    assert jobs.get(second.id).status is Status.CANCELLED
    assert [jobs.get(j.id).status for j in (first, other)] == [Status.SUCCEEDED] * 2


def test_shared_audio_takes_its_place_once_and_goes_with_the_last(jobs, share, tmp_path):
    first, second = share(), share()
    paths = [tmp_path / "storage" / job.audio.key for job in (first, second)]

    assert paths[0].stat().st_ino == paths[1].stat().st_ino
    jobs.delete(second.id)
    assert paths[0].read_bytes() == AUDIO
    jobs.delete(first.id)
    assert not any(path.exists() for path in paths)


def test_of_many_at_once_one_leads(redis_url, redis, storage, share):
    with ThreadPoolExecutor(16) as pool:
        clients = [Redis.from_url(redis_url) for _ in range(16)]
        all_jobs = [Jobs(c, storage, lease_s=30, max_attempts=3) for c in clients]
        records = list(pool.map(lambda jobs: share(jobs=jobs), all_jobs))
        for client in clients:
            client.close()

    leaders = [record.id for record in records if record.run_id == record.id]
    assert len(leaders) == 1
    assert {record.run_id for record in records} == {leaders[0]}
    assert len(slips(redis)) == 1


def test_a_job_joining_while_the_last_leaves_is_served_or_begins_a_run(
    redis_url, storage, share, make_transcript
):
    seen = set()
    with Redis.from_url(redis_url) as redis_a, Redis.from_url(redis_url) as redis_b:
        leaving = Jobs(redis_a, storage, lease_s=30, max_attempts=3)
        joining = Jobs(redis_b, storage, lease_s=30, max_attempts=3)
        with ThreadPoolExecutor(2) as pool:
            for turn in range(200):
                first = share(cache_key=f"turn {turn}")
                both = threading.Barrier(2)

                def meet(redis, n_pings, both=both):
                    both.wait(20)
                    for _ in range(n_pings):  # now a little earlier, now a little later
                        redis.ping()

                def leave(first=first, meet=meet, n_pings=turn % 5):
                    meet(redis_a, n_pings)
                    return leaving.cancel(first.id)

                def join(meet=meet, n_pings=turn // 5 % 5):
                    meet(redis_b, n_pings)

                left = pool.submit(leave)
                joined = pool.submit(share, cache_key=f"turn {turn}", jobs=joining, meet=join)
                assert left.result()
                record = joined.result()
                run = record.run_id
                assert leaving.runs.claim(run, 1, "w1") is not None
                assert leaving.runs.finish(run, 1, make_transcript((0.0, 2.0, " hi")))
                assert joining.get(record.id).status is Status.SUCCEEDED
                seen.add(run == record.id)

    assert seen == {True, False}, "both orders should have happened"


def test_a_deleted_job_is_gone_though_others_wait_for_the_run_that_began_with_it(
    jobs, redis, share, make_transcript, files_of
):
    first, second = share(), share()
    jobs.cancel(first.id)
    jobs.delete(first.id)
    before = files_of(first.id)
    jobs.runs.claim(first.id, 1, "w1")
    jobs.runs.finish(first.id, 1, make_transcript((0.0, 2.0, " hi")))

    assert before == ["audio"]  # which the run needs, and no record
    assert files_of(first.id) == []
    assert redis.keys(f"longhand:*{first.id}*") == []
    assert jobs.read_transcript(jobs.get(second.id)).text == "hi"


def test_history_of_jobs_that_share_a_run_outlives_redis(jobs, redis, share, make_transcript):
    first, second = share(), share()
    jobs.runs.claim(first.id, 1, "w1")
    jobs.runs.finish(first.id, 1, make_transcript((0.0, 2.0, " hi")))
    redis.flushall()

    assert jobs.read_transcript(jobs.get(second.id)).text == "hi"


def test_a_run_gets_the_highest_priority_of_its_jobs(jobs, redis, share):
    first = share(priority="low")
    share(priority="high")

    assert redis.lrange("rq:queue:longhand-high", 0, -1) == [f"{first.id}-1".encode()]


def test_a_job_that_is_released_is_cancelled_once(jobs, share):
    first, _ = share(), share()

    assert jobs.cancel(first.id)
    assert not jobs.cancel(first.id)


def test_a_job_goes_on_when_a_full_disk_keeps_shared_bytes_from_it(redis, storage, share):
    class Full:
        """Storage without room for one more name."""

        def __getattr__(self, name):
            return getattr(storage, name)

        def link(self, source, key):
            raise StorageFull("full")

    jobs = Jobs(redis, Full(), lease_s=30, max_attempts=3)
    first, second = share(jobs=jobs), share(jobs=jobs)

    assert second.run_id == first.id
    assert storage.read(second.audio.key) == AUDIO
