"""Jobs that share one run: who leads, who follows, and what each owner may do to his own."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis_line import RedisLine

from shared.errors import (
    AudioGone,
    IdempotencyMismatch,
    JobNotFound,
    JobNotRetryable,
    StorageFull,
)
from shared.jobs import Jobs
from shared.listing import JobQuery
from shared.records import JobEntry, Status, StoredAudio, new_job_id
from shared.request import TranscriptionRequest

AUDIO = b"RIFF of one recording"


@pytest.fixture
def share(jobs, storage):
    """Submit a job that may share its run; its record."""

    def share(owner="ann", cache_key="same", jobs=jobs, meet=lambda: None, **fields):
        job_id = new_job_id()
        key = f"jobs/{job_id}/audio"
        with storage.create(key) as out:
            out.write(AUDIO)
        audio = StoredAudio(
            key=key, filename="talk.wav", n_bytes=3, sha256="0" * 64, duration_s=2.0
        )
        entry = JobEntry(owner=owner, cache_key=cache_key, **fields)
        meet()
        return jobs.submit(job_id, TranscriptionRequest(), audio, entry=entry)

    return share


def slips(redis):
    return [
        slip for q in ("-high", "", "-low") for slip in redis.lrange(f"rq:queue:longhand{q}", 0, -1)
    ]


def events(redis, job_id):
    entries = [fields for _, fields in redis.xrange("longhand:events")]
    mine = [e for e in entries if e[b"job"] == job_id.encode()]
    return [(e[b"type"].decode(), json.loads(e[b"data"]), e[b"owner"].decode()) for e in mine]


def test_a_second_job_follows_the_run_of_the_first(jobs, redis, share, make_transcript):
    leader, follower = share(), share(label="again")
    jobs.claim(leader.id, 1, "w1")
    jobs.report(leader.id, 1, {"stage": "transcribe", "progress": 0.5})
    halfway = jobs.get(follower.id)
    jobs.finish(leader.id, 1, make_transcript((0.0, 2.0, " hi")))
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
    jobs.claim(leader.id, 1, "w1")
    jobs.finish(leader.id, 1, make_transcript((0.0, 2.0, " hi")))
    later = share()
    jobs.delete(leader.id)

    assert later.status is Status.SUCCEEDED
    assert jobs.read_transcript(jobs.get(later.id)).text == "hi"
    assert len(slips(redis)) == 1
    assert redis.hget("longhand:totals", "cache_hits") == b"1"


def test_once_all_results_are_deleted_the_audio_is_run_anew(jobs, share, make_transcript):
    leader = share()
    jobs.claim(leader.id, 1, "w1")
    jobs.finish(leader.id, 1, make_transcript())
    jobs.delete(leader.id)

    assert share().status is Status.QUEUED


def test_a_failed_run_is_not_taken_for_a_result(jobs, share):
    leader, follower = share(), share()
    jobs.claim(leader.id, 1, "w1")
    jobs.fail(leader.id, 1, {"code": "engine_failed", "message": "no"})

    assert jobs.get(follower.id).error == {"code": "engine_failed", "message": "no"}
    assert share().follows is None


@pytest.mark.parametrize("how", ["cancel", "delete"])
def test_a_leader_whose_owner_leaves_runs_on_for_its_followers(
    jobs, redis, share, make_transcript, how, storage
):
    leader, follower = share(owner="ann"), share(owner="bob")
    jobs.claim(leader.id, 1, "w1")
    getattr(jobs, how)(leader.id)

    if how == "delete":
        with pytest.raises(JobNotFound):
            jobs.get(leader.id)
    else:
        assert jobs.get(leader.id).status is Status.CANCELLED
        assert jobs.get(leader.id).ended_at is not None
    assert jobs.report(leader.id, 1, {"progress": 0.7})
    assert jobs.finish(leader.id, 1, make_transcript((0.0, 2.0, " hi")))
    assert jobs.read_transcript(jobs.get(follower.id)).text == "hi"
    if how == "delete":
        with pytest.raises(JobNotFound):
            jobs.get(leader.id)
        assert redis.exists(f"longhand:job:{leader.id}") == 0
    assert storage.read(follower.audio.key) == AUDIO


@pytest.mark.parametrize("how", ["cancel", "delete"])
def test_a_run_stops_when_the_last_who_follows_it_leaves(jobs, share, make_transcript, how):
    leader, follower = share(), share()
    jobs.claim(leader.id, 1, "w1")
    getattr(jobs, how)(leader.id)
    still_runs = jobs.report(leader.id, 1, {"progress": 0.7})
    getattr(jobs, how)(follower.id)

    assert still_runs
    assert not jobs.report(leader.id, 1, {"progress": 0.8})
    assert not jobs.finish(leader.id, 1, make_transcript())
    assert share().follows is None


def test_a_follower_that_leaves_disturbs_nobody(jobs, share, make_transcript):
    leader, follower, other = share(), share(), share()
    jobs.claim(leader.id, 1, "w1")
    jobs.cancel(follower.id)
    jobs.finish(leader.id, 1, make_transcript())

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

                def leave(leader=leader, both=both, n_pings=turn % 5):
                    both.wait(20)
                    for _ in range(n_pings):  # now a little earlier, now a little later
                        first.ping()
                    return leaving.cancel(leader.id)

                left = pool.submit(leave)
                joined = pool.submit(
                    share, cache_key=f"turn {turn}", jobs=joining, meet=lambda b=both: b.wait(20)
                )
                assert left.result()
                record = joined.result()
                run = record.run_id
                assert leaving.claim(run, 1, "w1") is not None
                assert leaving.finish(run, 1, make_transcript((0.0, 2.0, " hi")))
                assert joining.get(record.id).status is Status.SUCCEEDED
                seen.add(record.follows is None)

    assert seen == {True, False}, "both orders should have happened"


def test_what_a_worker_that_died_left_unsettled_is_settled(jobs, redis, share, make_transcript):
    leader, follower = share(), share()
    jobs.claim(leader.id, 1, "w1")
    jobs.finish(leader.id, 1, make_transcript((0.0, 2.0, " hi")))
    # As it stands when the worker dies between the end of the run and this.
    redis.hset(f"longhand:job:{follower.id}", mapping={"status": "queued", "result_key": ""})
    redis.sadd(f"longhand:job:{leader.id}:followers", follower.id)
    redis.zadd("longhand:settling", {leader.id: 1})
    before = jobs.get(follower.id).status

    assert before is Status.RUNNING
    assert jobs.settle_left() == [leader.id]
    assert jobs.get(follower.id).status is Status.SUCCEEDED
    assert jobs.settle_left() == []


def test_a_job_that_failed_for_all_is_settled_by_the_reaper(redis, storage, share):
    hasty = Jobs(redis, storage, lease_s=0, max_attempts=1)
    leader, follower = share(), share()
    hasty.claim(leader.id, 1, "w1")

    assert hasty.reap() == [leader.id]
    assert hasty.get(follower.id).error["code"] == "worker_lost"


def test_history_of_followers_outlives_redis(jobs, redis, share, make_transcript):
    leader, follower = share(), share()
    jobs.claim(leader.id, 1, "w1")
    jobs.finish(leader.id, 1, make_transcript((0.0, 2.0, " hi")))
    redis.flushall()

    assert jobs.read_transcript(jobs.get(follower.id)).text == "hi"


def test_one_idempotency_key_makes_one_job(jobs, redis, share):
    named = {"idempotency_key": "ann:1", "fingerprint": "f", "cache_key": None}
    first, second = share(**named), share(**named)

    assert second.id == first.id
    assert len(slips(redis)) == 1
    with pytest.raises(IdempotencyMismatch):
        share(**named | {"fingerprint": "another"})
    jobs.delete(first.id)
    assert share(**named).id != first.id


def test_of_many_with_one_idempotency_key_one_is_a_job(redis_url, redis, storage, share):
    named = {"idempotency_key": "ann:1", "fingerprint": "f", "cache_key": None}
    with ThreadPoolExecutor(16) as pool:
        ids = {record.id for record in pool.map(lambda _: share(**named), range(16))}

    assert len(ids) == 1
    assert len(slips(redis)) == 1


def test_an_abandoned_job_is_cancelled_unless_it_is_asked_for_again(jobs, share):
    named = {"idempotency_key": "ann:1", "fingerprint": "f", "cache_key": None}
    gone, back = share(cache_key=None), share(**named)
    jobs.abandon(gone.id, 0)
    jobs.abandon(back.id, 0)
    share(**named)

    assert jobs.cancel_abandoned() == [gone.id]
    assert jobs.get(back.id).status is Status.QUEUED


def test_an_abandoned_run_goes_on_for_whoever_came_back(jobs, share, make_transcript):
    gone, back = share(), share()
    jobs.abandon(gone.id, 0)
    jobs.cancel_abandoned()
    jobs.claim(gone.id, 1, "w1")

    assert jobs.finish(gone.id, 1, make_transcript())
    assert jobs.get(back.id).status is Status.SUCCEEDED


def test_a_job_that_failed_is_tried_again_with_its_options(jobs, redis, share, make_transcript):
    job_id = share(label="mine").id
    jobs.claim(job_id, 1, "w1")
    jobs.fail(job_id, 1, {"code": "engine_failed", "message": "no"})
    again = jobs.retry(job_id)

    assert (again.status, again.attempt, again.first_attempt) == (Status.QUEUED, 2, 2)
    assert (again.error, again.ended_at, again.label) == (None, None, "mine")
    assert slips(redis)[-1].decode() == f"{job_id}-2"
    jobs.claim(job_id, 2, "w1")
    assert jobs.finish(job_id, 2, make_transcript())


def test_a_job_tried_again_has_all_its_attempts_again(redis, storage, share):
    hasty = Jobs(redis, storage, lease_s=0, max_attempts=2)
    job_id = share().id
    hasty.claim(job_id, 1, "w1")
    hasty.cancel(job_id)
    hasty.retry(job_id)
    hasty.claim(job_id, 2, "w1")

    assert hasty.reap() == [job_id]
    assert hasty.get(job_id).status is Status.QUEUED


def test_a_cancelled_job_whose_run_goes_on_joins_it_again(jobs, share, make_transcript):
    leader, _ = share(), share()
    jobs.claim(leader.id, 1, "w1")
    jobs.cancel(leader.id)
    again = jobs.retry(leader.id)
    jobs.finish(leader.id, 1, make_transcript((0.0, 2.0, " hi")))

    assert again.status is Status.RUNNING
    assert jobs.read_transcript(jobs.get(leader.id)).text == "hi"


def test_only_what_ended_without_a_result_is_tried_again(jobs, redis, share, make_transcript):
    job_id = share().id
    with pytest.raises(JobNotRetryable, match="the job is queued"):
        jobs.retry(job_id)
    jobs.claim(job_id, 1, "w1")
    jobs.finish(job_id, 1, make_transcript())
    with pytest.raises(JobNotRetryable, match="the job is succeeded"):
        jobs.retry(job_id)
    gone = share(cache_key=None).id
    jobs.cancel(gone)
    redis.hset(f"longhand:job:{gone}", "audio_removed_at", 1)
    with pytest.raises(AudioGone, match="LONGHAND_KEEP_AUDIO_S"):
        jobs.retry(gone)


def test_a_job_is_edited_and_stays_so_without_redis(jobs, redis, share, make_transcript):
    job_id = share().id
    jobs.claim(job_id, 1, "w1")
    jobs.finish(job_id, 1, make_transcript())
    jobs.edit(job_id, label="board", speaker_names={"SPEAKER_00": "Ann"})
    redis.flushall()
    record = jobs.get(job_id)

    assert (record.label, record.speaker_names) == ("board", {"SPEAKER_00": "Ann"})


def test_every_change_is_told_to_the_owner_of_every_job_it_is_about(
    jobs, redis, share, make_transcript
):
    leader, follower = share(owner="ann"), share(owner="bob")
    jobs.claim(leader.id, 1, "w1")
    jobs.report(leader.id, 1, {"stage": "transcribe", "progress": 0.5})
    jobs.report(leader.id, 1, {})  # the lease alone is no news
    jobs.finish(leader.id, 1, make_transcript())

    told = [(data["status"], data["progress"]) for _, data, _ in events(redis, leader.id)]
    assert told == [("queued", 0), ("running", 0), ("running", 0.5), ("succeeded", 1)]
    theirs = events(redis, follower.id)
    assert [(data["status"], data["job_id"]) for _, data, _ in theirs] == [
        (status, follower.id) for status in ("queued", "running", "running", "succeeded")
    ]
    assert {owner for _, _, owner in theirs} == {"bob"}


def test_an_owner_who_left_is_told_of_the_end_and_no_more(jobs, redis, share, make_transcript):
    leader, _ = share(), share()
    jobs.claim(leader.id, 1, "w1")
    jobs.cancel(leader.id)
    jobs.report(leader.id, 1, {"progress": 0.5})
    jobs.finish(leader.id, 1, make_transcript())

    assert [data["status"] for _, data, _ in events(redis, leader.id)] == [
        "queued", "running", "cancelled",
    ]  # fmt: skip


def test_the_end_of_a_job_with_a_callback_is_put_down_to_be_told(
    jobs, redis, share, make_transcript
):
    url = "https://example.org/hook"
    leader, follower, silent = share(callback_url=url), share(callback_url=url), share()
    jobs.claim(leader.id, 1, "w1")
    jobs.cancel(leader.id)
    told_early = redis.zrange("longhand:webhooks", 0, -1)
    jobs.finish(leader.id, 1, make_transcript())

    assert told_early == [leader.id.encode()]
    told = set(redis.zrange("longhand:webhooks", 0, -1))
    assert told == {leader.id.encode(), follower.id.encode()}
    ended = set(redis.zrange("longhand:ended", 0, -1))
    assert ended == {job.id.encode() for job in (leader, follower, silent)}


def test_what_all_jobs_took_is_added_up(jobs, redis, share, make_transcript):
    job_id = share().id
    jobs.claim(job_id, 1, "w1")
    jobs.report(job_id, 1, {"stages_s": json.dumps({"decode": 0.5, "transcribe": 1.5})})
    jobs.finish(job_id, 1, make_transcript())
    totals = {k.decode(): float(v) for k, v in redis.hgetall("longhand:totals").items()}

    assert totals["jobs:succeeded"] == 1
    assert totals["audio_s"] == 2.0
    assert totals["stage_s:transcribe"] == 1.5
    assert totals["stage_n:decode"] == 1
    assert totals["work_s"] > 0


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


def test_a_sooner_turn_of_a_follower_is_its_runs_too(jobs, redis, share):
    leader = share(priority="low")
    share(priority="high")

    assert redis.lrange("rq:queue:longhand-high", 0, -1) == [f"{leader.id}-1".encode()]


def test_an_abandonment_ends_with_its_job(jobs, redis, share):
    job_id = share().id
    jobs.abandon(job_id, 0)
    jobs.claim(job_id, 1, "w1")
    jobs.fail(job_id, 1, {"code": "engine_failed", "message": "no"})
    jobs.retry(job_id)

    assert jobs.cancel_abandoned() == []
    assert jobs.get(job_id).status is Status.QUEUED


def test_a_key_whose_job_was_given_up_for_a_caller_who_had_gone_makes_another(jobs, share):
    named = {"idempotency_key": "ann:1", "fingerprint": "f", "cache_key": None}
    first = share(**named)
    jobs.abandon(first.id, 0)
    jobs.cancel_abandoned()
    second = share(**named)
    jobs.cancel(second.id)

    assert second.id != first.id
    assert share(**named).id == second.id, "who cancels a job has cancelled it"


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
    jobs.claim(leader.id, 1, "w1")
    jobs.finish(leader.id, 1, make_transcript())

    assert not (tmp_path / "storage" / "jobs" / follower.id).exists()


def test_a_job_deleted_while_it_is_edited_does_not_come_back(jobs, redis, share):
    job_id = share().id
    jobs.delete(job_id)

    with pytest.raises(JobNotFound):
        jobs.edit(job_id, label="x", speaker_names={})
    assert redis.exists(f"longhand:job:{job_id}") == 0


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


def test_a_job_whose_slip_finds_redis_away_is_accepted_all_the_same(
    redis_url, storage, share, redis
):
    with RedisLine(redis_url) as line:
        distant = Redis.from_url(line.url, retry=Retry(NoBackoff(), 0))
        jobs = Jobs(distant, storage, lease_s=30, max_attempts=3)
        line.lose_answer_to(b"rq:queue:longhand")
        record = share(jobs=jobs)
        distant.close()

    assert line.n_lost == 1
    assert record.status is Status.QUEUED
    assert storage.read(record.audio.key) == AUDIO
