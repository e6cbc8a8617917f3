"""Jobs that share one run: who leads, who follows, and what becomes of it when they leave."""

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
from shared.jobs.moves import Moves
from shared.records import Status


def test_a_second_job_follows_the_run_of_the_first(jobs, redis, share, make_transcript):
    leader, follower = share(), share(label="again")
    jobs.runs.claim(leader.id, 1, "w1")
    jobs.runs.report(leader.id, 1, {"stage": "transcribe", "progress": 0.5})
    halfway = jobs.get(follower.id)
    jobs.runs.finish(leader.id, 1, make_transcript((0.0, 2.0, " hi")))
    ended = jobs.get(follower.id)

    assert len(slips(redis)) == 1
    assert (follower.status, follower.follows) == (Status.QUEUED, leader.id)
    assert (halfway.status, halfway.stage, halfway.progress) == ("running", "transcribe", 0.5)
    assert halfway.label == "again"
    assert (ended.status, ended.label, ended.progress) == (Status.SUCCEEDED, "again", 1.0)
    assert ended.result_key.startswith(f"jobs/{follower.id}/")
    assert jobs.read_transcript(ended).text == "hi"
    assert follower.created_at <= ended.started_at <= ended.ended_at


def test_a_job_of_audio_that_was_transcribed_has_the_result_at_once(
    jobs, redis, share, make_transcript
):
    leader = share()
    jobs.runs.claim(leader.id, 1, "w1")
    jobs.runs.finish(leader.id, 1, make_transcript((0.0, 2.0, " hi")))
    later = share()
    jobs.delete(leader.id)

    assert later.status is Status.SUCCEEDED
    assert jobs.read_transcript(jobs.get(later.id)).text == "hi"
    assert len(slips(redis)) == 1
    assert redis.hget("longhand:totals", "cache_hits") == b"1"


def test_once_all_results_are_deleted_the_audio_is_run_anew(jobs, share, make_transcript):
    leader = share()
    jobs.runs.claim(leader.id, 1, "w1")
    jobs.runs.finish(leader.id, 1, make_transcript())
    jobs.delete(leader.id)

    assert share().status is Status.QUEUED


def test_a_failed_run_is_not_taken_for_a_result(jobs, share):
    leader, follower = share(), share()
    jobs.runs.claim(leader.id, 1, "w1")
    jobs.runs.fail(leader.id, 1, {"code": "engine_failed", "message": "no"})

    assert jobs.get(follower.id).error == {"code": "engine_failed", "message": "no"}
    assert share().follows is None


@pytest.mark.parametrize("how", ["cancel", "delete"])
def test_a_leader_whose_owner_leaves_runs_on_for_its_followers(
    jobs, redis, share, make_transcript, how, storage
):
    leader, follower = share(owner="ann"), share(owner="bob")
    jobs.runs.claim(leader.id, 1, "w1")
    getattr(jobs, how)(leader.id)

    if how == "delete":
        with pytest.raises(JobNotFound):
            jobs.get(leader.id)
    else:
        assert jobs.get(leader.id).status is Status.CANCELLED
        assert jobs.get(leader.id).ended_at is not None
    assert jobs.runs.report(leader.id, 1, {"progress": 0.7})
    assert jobs.runs.finish(leader.id, 1, make_transcript((0.0, 2.0, " hi")))
    assert jobs.read_transcript(jobs.get(follower.id)).text == "hi"
    if how == "delete":
        with pytest.raises(JobNotFound):
            jobs.get(leader.id)
        assert redis.exists(f"longhand:job:{leader.id}") == 0
    assert storage.read(follower.audio.key) == AUDIO


@pytest.mark.parametrize("how", ["cancel", "delete"])
def test_a_run_stops_when_the_last_who_follows_it_leaves(jobs, share, make_transcript, how):
    leader, follower = share(), share()
    jobs.runs.claim(leader.id, 1, "w1")
    getattr(jobs, how)(leader.id)
    still_runs = jobs.runs.report(leader.id, 1, {"progress": 0.7})
    getattr(jobs, how)(follower.id)

    assert still_runs
    assert not jobs.runs.report(leader.id, 1, {"progress": 0.8})
    assert not jobs.runs.finish(leader.id, 1, make_transcript())
    assert share().follows is None


def test_a_follower_that_leaves_disturbs_nobody(jobs, share, make_transcript):
    leader, follower, other = share(), share(), share()
    jobs.runs.claim(leader.id, 1, "w1")
    jobs.cancel(follower.id)
    jobs.runs.finish(leader.id, 1, make_transcript())

    assert jobs.get(follower.id).status is Status.CANCELLED
    assert [jobs.get(j.id).status for j in (leader, other)] == [Status.SUCCEEDED] * 2


def test_shared_audio_takes_its_place_once_and_goes_with_the_last(jobs, share, tmp_path):
    leader, follower = share(), share()
    paths = [tmp_path / "storage" / job.audio.key for job in (leader, follower)]

    assert paths[0].stat().st_ino == paths[1].stat().st_ino
    jobs.delete(follower.id)
    assert paths[0].read_bytes() == AUDIO
    jobs.delete(leader.id)
    assert not any(path.exists() for path in paths)


def test_of_many_at_once_one_leads(redis_url, redis, storage, share):
    with ThreadPoolExecutor(16) as pool:
        clients = [Redis.from_url(redis_url) for _ in range(16)]
        all_jobs = [Jobs(c, storage, lease_s=30, max_attempts=3) for c in clients]
        records = list(pool.map(lambda jobs: share(jobs=jobs), all_jobs))
        for client in clients:
            client.close()

    leaders = [record.id for record in records if record.follows is None]
    assert len(leaders) == 1
    assert {record.follows for record in records} == {None, leaders[0]}
    assert len(slips(redis)) == 1


def test_a_job_joining_while_the_last_leaves_is_served_or_leads_itself(
    redis_url, storage, share, make_transcript
):
    seen = set()
    with Redis.from_url(redis_url) as first, Redis.from_url(redis_url) as second:
        leaving = Jobs(first, storage, lease_s=30, max_attempts=3)
        joining = Jobs(second, storage, lease_s=30, max_attempts=3)
        with ThreadPoolExecutor(2) as pool:
            for turn in range(200):
                leader = share(cache_key=f"turn {turn}")
                both = threading.Barrier(2)

                def meet(redis, n_pings, both=both):
                    both.wait(20)
                    for _ in range(n_pings):  # now a little earlier, now a little later
                        redis.ping()

                def leave(leader=leader, meet=meet, n_pings=turn % 5):
                    meet(first, n_pings)
                    return leaving.cancel(leader.id)

                def join(meet=meet, n_pings=turn // 5 % 5):
                    meet(second, n_pings)

                left = pool.submit(leave)
                joined = pool.submit(share, cache_key=f"turn {turn}", jobs=joining, meet=join)
                assert left.result()
                record = joined.result()
                run = record.run_id
                assert leaving.runs.claim(run, 1, "w1") is not None
                assert leaving.runs.finish(run, 1, make_transcript((0.0, 2.0, " hi")))
                assert joining.get(record.id).status is Status.SUCCEEDED
                seen.add(record.follows is None)

    assert seen == {True, False}, "both orders should have happened"


def test_what_a_worker_that_died_left_unsettled_is_settled(jobs, redis, share, make_transcript):
    leader, follower = share(), share()
    jobs.runs.claim(leader.id, 1, "w1")
    jobs.runs.finish(leader.id, 1, make_transcript((0.0, 2.0, " hi")))
    # As it stands when the worker dies between the end of the run and this.
    redis.hset(f"longhand:job:{follower.id}", mapping={"status": "running", "result_key": ""})
    redis.sadd(f"longhand:run:{leader.id}:jobs", follower.id)
    redis.zadd("longhand:settling", {leader.id: 1})
    before = jobs.get(follower.id).status

    assert before is Status.RUNNING
    assert jobs.runs.settle_left() == [leader.id]
    assert jobs.get(follower.id).status is Status.SUCCEEDED
    assert jobs.runs.settle_left() == []


def test_a_job_alone_whose_worker_died_just_after_its_end_is_settled(jobs, redis, submit):
    job_id = submit().id
    jobs.runs.claim(job_id, 1, "w1")
    ended = {"error": '{"code": "engine_failed", "message": "no"}'}
    Moves(redis, lease_s=30).move(job_id, Status.RUNNING, Status.FAILED, ended, attempt=1)

    assert jobs.get(job_id).status is Status.RUNNING
    assert jobs.runs.settle_left(older_than_s=60) == []  # its worker may be at it
    assert jobs.runs.settle_left() == [job_id]
    redis.flushall()
    assert jobs.get(job_id).error == {"code": "engine_failed", "message": "no"}


def test_a_deleted_job_is_gone_though_others_wait_for_the_run_that_began_with_it(
    jobs, redis, share, make_transcript, files_of
):
    leader, follower = share(), share()
    jobs.cancel(leader.id)
    jobs.delete(leader.id)
    before = files_of(leader.id)
    jobs.runs.claim(leader.id, 1, "w1")
    jobs.runs.finish(leader.id, 1, make_transcript((0.0, 2.0, " hi")))

    assert before == ["audio"]  # which the run needs, and no record
    assert files_of(leader.id) == []
    assert redis.keys(f"longhand:*{leader.id}*") == []
    assert jobs.read_transcript(jobs.get(follower.id)).text == "hi"


def test_a_job_that_failed_for_all_is_settled_by_the_reaper(redis, storage, share):
    hasty = Jobs(redis, storage, lease_s=0, max_attempts=1)
    leader, follower = share(), share()
    hasty.runs.claim(leader.id, 1, "w1")

    assert hasty.runs.reap() == [leader.id]
    assert hasty.get(follower.id).error["code"] == "worker_lost"


def test_history_of_followers_outlives_redis(jobs, redis, share, make_transcript):
    leader, follower = share(), share()
    jobs.runs.claim(leader.id, 1, "w1")
    jobs.runs.finish(leader.id, 1, make_transcript((0.0, 2.0, " hi")))
    redis.flushall()

    assert jobs.read_transcript(jobs.get(follower.id)).text == "hi"


def test_a_sooner_turn_of_a_follower_is_its_runs_too(jobs, redis, share):
    leader = share(priority="low")
    share(priority="high")

    assert redis.lrange("rq:queue:longhand-high", 0, -1) == [f"{leader.id}-1".encode()]


def test_a_job_deleted_while_its_run_is_settled_leaves_nothing(
    redis, storage, share, make_transcript, tmp_path
):
    class Hasty:
        """Storage in which somebody deletes the job just before it has its result."""

        def __getattr__(self, name):
            return getattr(storage, name)

        def link(self, source, key):
            if key.endswith("result.json"):
                other.delete(follower.id)
            storage.link(source, key)

    jobs = Jobs(redis, Hasty(), lease_s=30, max_attempts=3)
    other = Jobs(redis, storage, lease_s=30, max_attempts=3)
    leader, follower = share(jobs=jobs), share(jobs=jobs)
    jobs.runs.claim(leader.id, 1, "w1")
    jobs.runs.finish(leader.id, 1, make_transcript())

    assert not (tmp_path / "storage" / "jobs" / follower.id).exists()


def test_a_job_that_is_released_is_cancelled_once(jobs, share):
    leader, _ = share(), share()

    assert jobs.cancel(leader.id)
    assert not jobs.cancel(leader.id)


def test_a_job_goes_on_when_a_full_disk_keeps_shared_bytes_from_it(redis, storage, share):
    class Full:
        """Storage without room for one more name."""

        def __getattr__(self, name):
            return getattr(storage, name)

        def link(self, source, key):
            raise StorageFull("full")

    jobs = Jobs(redis, Full(), lease_s=30, max_attempts=3)
    leader, follower = share(jobs=jobs), share(jobs=jobs)

    assert follower.follows == leader.id
    assert storage.read(follower.audio.key) == AUDIO


def test_what_a_deleted_job_left_for_its_run_is_removed_when_the_last_job_leaves(
    jobs, redis, share, files_of
):
    leader, follower = share(owner="ann"), share(owner="bob")
    jobs.runs.claim(leader.id, 1, "w1")
    jobs.delete(leader.id)
    jobs.cancel(follower.id)
    jobs.runs.settle_left()

    assert files_of(leader.id) == []
    assert not redis.exists(f"longhand:run:{leader.id}")
    assert files_of(follower.id) == ["audio", "record.json"]


def test_the_job_that_began_a_run_ends_though_the_others_have_no_room(
    jobs, redis, storage, share, make_transcript
):
    class Full:
        def __getattr__(self, name):
            return getattr(storage, name)

        def link(self, source, key):
            raise StorageFull("full")

    leader, followers = share(), [share() for _ in range(8)]
    jobs.runs.claim(leader.id, 1, "w1")
    full = Jobs(redis, Full(), lease_s=30, max_attempts=3)
    full.runs.finish(leader.id, 1, make_transcript((0.0, 2.0, " hi")))
    before = jobs.get(leader.id).status, jobs.get(followers[0].id).status
    jobs.runs.settle_left()

    assert before == (Status.SUCCEEDED, Status.RUNNING)
    assert all(jobs.get(follower.id).status is Status.SUCCEEDED for follower in followers)


def test_a_job_whose_files_could_not_be_deleted_can_be_deleted_again(
    jobs, redis, storage, share, files_of
):
    class Broken:
        def __getattr__(self, name):
            return getattr(storage, name)

        def delete_all(self, prefix):
            raise OSError("the disk does not answer")

    job_id = share().id
    jobs.cancel(job_id)
    with pytest.raises(OSError, match="does not answer"):
        Jobs(redis, Broken(), lease_s=30, max_attempts=3).delete(job_id)
    jobs.delete(job_id)

    assert files_of(job_id) == []
