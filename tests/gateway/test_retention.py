"""What has outlived its time is removed; nothing else is."""

from __future__ import annotations

import io
import os
import time

import pytest
from waiting import wait_until
from work import fail, succeed, upload

from gateway.retention import Retention, Sweeper
from gateway.settings import GatewaySettings
from shared.errors import AudioGone
from shared.keys import ENDED, JOB, RUN_JOBS
from shared.records import JobEntry, StoredAudio, job_prefix, new_job_id
from shared.request import TranscriptionRequest

HOUR_S = 3600
DAY_S = 24 * HOUR_S


@pytest.fixture
def make_retention(services, storage_dir):
    """A function that makes what removes; its arguments are settings."""

    def make(**settings):
        chosen = GatewaySettings(**services.settings.model_dump() | settings)
        return Retention(
            services.redis, services.jobs, services.storage, chosen, spool=storage_dir / ".spool"
        )

    return make


@pytest.fixture
def end(client, services, speech):
    """A function that makes a job which ended some time ago; its id."""

    def make(*, ago_s, how="succeeded"):
        job_id = upload(client, speech, cache="false").json["job_id"]
        if how == "succeeded":
            succeed(services, job_id)
        elif how == "failed":
            fail(services, job_id, {"code": "engine_failed", "message": "it broke"})
        elif how == "cancelled":
            services.jobs.cancel(job_id)
        backdate(services, job_id, ago_s)
        return job_id

    return make


def backdate(services, job_id, ago_s):
    """Let a job have ended earlier."""
    ended_at = time.time() - ago_s
    services.redis.hset(JOB.of(job_id), "ended_at", ended_at)
    services.redis.zadd(ENDED, {job_id: ended_at})
    record = services.jobs.get(job_id)
    with services.storage.create(f"{job_prefix(job_id)}/record.json") as out:
        out.write(record.model_dump_json().encode())


def enter(services, job_id, *, cache_key, audio=b"the same"):
    """Let a job in, as an upload does, that may share a run."""
    key = f"{job_prefix(job_id)}/audio"
    with services.storage.create(key) as out:
        out.write(audio)
    stored = StoredAudio(key=key, filename="a.wav", n_bytes=8, sha256="00", duration_s=1.0)
    entry = JobEntry(cache_key=cache_key)
    return services.jobs.submit(job_id, TranscriptionRequest(), stored, entry=entry)


def exists(services, job_id):
    return bool(services.redis.exists(JOB.of(job_id)))


def has_audio(services, job_id):
    return f"{job_prefix(job_id)}/audio" in set(services.storage.keys("jobs"))


def test_by_default_everything_is_kept(services, end, make_retention, stored_files):
    for how in ("succeeded", "failed", "cancelled"):
        end(ago_s=10_000 * DAY_S, how=how)
    before = stored_files()
    make_retention().sweep()

    assert stored_files() == before


def test_audio_is_removed_after_its_time_and_its_result_is_not(
    client, services, end, make_retention
):
    old, young = end(ago_s=2 * HOUR_S), end(ago_s=HOUR_S / 2)
    result = client.get(f"/jobs/{old}/result").json
    make_retention(keep_audio_s=HOUR_S).sweep()

    assert (has_audio(services, old), has_audio(services, young)) == (False, True)
    assert client.get(f"/jobs/{old}/result").json == result
    assert client.get(f"/jobs/{old}/result?format=srt").status_code == 200
    assert services.jobs.get(old).audio_removed_at == pytest.approx(time.time(), abs=60)
    assert services.jobs.get(young).audio_removed_at is None


def test_that_audio_was_removed_is_known_when_redis_has_lost_it(services, end, make_retention):
    job_id = end(ago_s=2 * HOUR_S)
    make_retention(keep_audio_s=HOUR_S).sweep()
    removed_at = services.jobs.get(job_id).audio_removed_at
    services.redis.flushall()

    assert services.jobs.get(job_id).audio_removed_at == removed_at != None  # noqa: E711


@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_a_job_without_its_audio_is_not_tried_again(services, end, make_retention, how):
    job_id = end(ago_s=2 * HOUR_S, how=how)
    make_retention(keep_audio_s=HOUR_S).sweep()

    with pytest.raises(AudioGone):
        services.jobs.retry(job_id)
    assert services.jobs.get(job_id).status == how


def test_voices_go_with_the_audio(services, end, make_retention):
    job_id = end(ago_s=2 * HOUR_S)
    with services.storage.create(f"{job_prefix(job_id)}/voices/0") as out:
        out.write(b"Ann")
    make_retention(keep_audio_s=HOUR_S).sweep()

    assert not any("voices" in key for key in services.storage.keys("jobs"))


def test_each_kind_of_job_has_a_time_of_its_own(client, services, end, make_retention):
    ages = {how: {"old": 3 * HOUR_S, "young": HOUR_S} for how in ("succeeded", "failed")}
    made = {(h, a): end(ago_s=s, how=h) for h, of in ages.items() for a, s in of.items()}
    cancelled = end(ago_s=3 * HOUR_S, how="cancelled")
    make_retention(keep_results_s=2 * HOUR_S).sweep()

    assert not exists(services, made["succeeded", "old"])
    assert exists(services, made["succeeded", "young"])
    assert exists(services, made["failed", "old"])
    make_retention(keep_failed_s=2 * HOUR_S).sweep()
    assert not exists(services, made["failed", "old"])
    assert not exists(services, cancelled)
    assert exists(services, made["failed", "young"])
    gone = made["failed", "old"]
    assert client.get(f"/jobs/{gone}").status_code == 404
    assert not list(services.storage.keys(job_prefix(gone)))


def test_a_job_that_has_not_ended_is_never_touched(client, services, speech, make_retention):
    queued, running = (upload(client, speech, cache="false").json["job_id"] for _ in range(2))
    assert services.jobs.runs.claim(running, 1, "w1") is not None
    for job_id in (queued, running):  # ended once, and was tried again
        services.redis.zadd(ENDED, {job_id: time.time() - DAY_S})
        services.redis.hset(JOB.of(job_id), "ended_at", time.time() - DAY_S)
    make_retention(keep_audio_s=1, keep_results_s=1, keep_failed_s=1).sweep()

    for job_id in (queued, running):
        assert exists(services, job_id)
        assert has_audio(services, job_id)


def test_the_run_that_others_follow_is_not_touched(services, make_retention):
    """Its owner cancelled it; it runs on for another owner's job."""
    first, second = new_job_id(), new_job_id()
    for job_id in (first, second):
        enter(services, job_id, cache_key="same")
    assert services.jobs.runs.claim(first, 1, "w1") is not None
    services.jobs.cancel(first)
    services.redis.zadd(ENDED, {first: time.time() - DAY_S})
    retention = make_retention(keep_audio_s=1, keep_failed_s=1, keep_results_s=1)
    retention.sweep()

    assert services.jobs.get(first).status == "cancelled"
    assert has_audio(services, first)
    assert exists(services, first)


def test_the_audio_that_jobs_share_goes_with_each_of_them(services, make_retention):
    first, second = new_job_id(), new_job_id()
    for job_id in (first, second):
        enter(services, job_id, cache_key="same")
    succeed(services, first)
    backdate(services, first, DAY_S)
    make_retention(keep_audio_s=HOUR_S).sweep()

    assert (has_audio(services, first), has_audio(services, second)) == (False, True)
    assert services.storage.read(f"{job_prefix(second)}/audio") == b"the same"


def test_what_had_to_wait_is_removed_by_a_later_sweep(services, end, make_retention):
    waiting, other = end(ago_s=3 * HOUR_S), end(ago_s=2 * HOUR_S)
    services.redis.sadd(RUN_JOBS.of(waiting), other)
    retention = make_retention(keep_audio_s=HOUR_S)
    retention.sweep()
    assert (has_audio(services, waiting), has_audio(services, other)) == (True, False)
    services.redis.delete(RUN_JOBS.of(waiting))
    retention.sweep()

    assert not has_audio(services, waiting)


def test_jobs_that_redis_lost_are_found_in_storage(services, end, make_retention):
    old, young, failed = end(ago_s=DAY_S), end(ago_s=1), end(ago_s=DAY_S, how="failed")
    services.redis.flushall()
    make_retention(keep_audio_s=HOUR_S, keep_failed_s=HOUR_S).sweep()

    assert (has_audio(services, old), has_audio(services, young)) == (False, True)
    assert services.jobs.get(old).audio_removed_at is not None
    assert services.jobs.read_transcript(services.jobs.get(old)).text
    assert not list(services.storage.keys(job_prefix(failed)))


def test_storage_is_walked_through_once_a_day(services, end, make_retention):
    retention = make_retention(keep_failed_s=HOUR_S)
    retention.sweep()
    lost = end(ago_s=DAY_S, how="failed")
    services.redis.delete(JOB.of(lost))
    services.redis.zrem(ENDED, lost)
    retention.sweep()
    assert list(services.storage.keys(job_prefix(lost)))

    assert 0 < services.redis.ttl("longhand:sweeper:walked") <= DAY_S
    services.redis.delete("longhand:sweeper:walked")
    retention.sweep()
    assert not list(services.storage.keys(job_prefix(lost)))


def age(path, ago_s):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(path.read_bytes() if path.exists() else b"left")
    os.utime(path, (time.time() - ago_s,) * 2)
    return path


def test_audio_that_never_became_a_job_is_removed_a_week_later(
    services, storage_dir, end, make_retention
):
    job_id = end(ago_s=1)
    orphans = {
        days: age(storage_dir / job_prefix(new_job_id()) / "audio", days * DAY_S) for days in (6, 8)
    }
    age(storage_dir / job_prefix(job_id) / "audio", 100 * DAY_S)
    make_retention().sweep()

    assert {days: path.exists() for days, path in orphans.items()} == {6: True, 8: False}
    assert has_audio(services, job_id)


def test_what_dead_uploads_left_is_removed_a_day_later(services, storage_dir, make_retention):
    left = {
        (folder, hours): age(storage_dir / folder / f"part-{hours}", hours * HOUR_S)
        for folder in (".incoming", ".spool")
        for hours in (23, 25)
    }
    make_retention().sweep()

    assert {name: path.exists() for name, path in left.items()} == {
        (folder, hours): hours == 23 for folder in (".incoming", ".spool") for hours in (23, 25)
    }


def test_the_parts_of_an_upload_that_expired_are_removed(services, make_retention):
    alive, expired = new_job_id(), new_job_id()
    for upload_id in (alive, expired):
        with services.storage.create(f"uploads/{upload_id}/0-x/part") as out:
            out.write(b"part")
    services.redis.hset(f"longhand:upload:{alive}", "offset", 4)
    make_retention().sweep()

    assert list(services.storage.keys("uploads")) == [f"uploads/{alive}/0-x/part"]


def test_two_sweepers_take_turns(services, end, make_retention):
    job_id = end(ago_s=DAY_S)
    retention = make_retention(keep_audio_s=HOUR_S)
    sweepers = [Sweeper(services.redis, retention, every_s=0.05) for _ in range(2)]
    for sweeper in sweepers:
        sweeper.start()
    wait_until(lambda: not has_audio(services, job_id), 20)
    for sweeper in sweepers:
        sweeper.stop()
        sweeper.join(20)

    assert services.jobs.get(job_id).audio_removed_at is not None


def test_a_gateway_clears_away_by_itself(start_gateway, services, end):
    job_id = end(ago_s=DAY_S)
    gateway = start_gateway(keep_audio_s=HOUR_S, sweep_every_s=1)
    wait_until(lambda: not has_audio(services, job_id), 20)

    assert gateway.stop() == 0


def test_a_batch_is_removed_when_its_jobs_are_gone(
    client, services, speech, storage_dir, make_retention
):
    """A week after it was made: Redis may be brought back from a backup."""
    batches = {}
    for name, days in (("gone", 8), ("young", 6), ("alive", 8)):
        form = {"files[]": [(io.BytesIO(speech), "a.wav")], "cache": "false"}
        value = client.post("/transcribe/batch", data=form).json
        batches[name] = value["job_id"]
        age(storage_dir / job_prefix(value["job_id"]) / "batch.json", days * DAY_S)
        if name != "alive":
            services.jobs.delete(value["children"][0]["job_id"])
    make_retention().sweep()

    in_redis = {n for n, b in batches.items() if services.redis.exists(f"longhand:batch:{b}")}
    stored = {n for n, b in batches.items() if list(services.storage.keys(job_prefix(b)))}
    assert in_redis == stored == {"young", "alive"}
