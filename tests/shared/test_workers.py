"""What workers say of themselves."""

from __future__ import annotations

import time

import pytest

from shared.workers import EXPIRES_S, WorkerRecord, Workers


@pytest.fixture
def workers(redis):
    return Workers(redis)


def record(name, **fields):
    values = {
        "name": name,
        "host": "gpu-1",
        "pid": 7,
        "engine": "faster_whisper",
        "device": "cpu",
        "compute_type": "int8",
        "models": ("demo",),
        "slots": 8,
        "started_at": time.time(),
    }
    return WorkerRecord(**(values | fields))


def test_a_published_worker_is_live(workers):
    workers.publish(record("a", loaded=("demo",)))

    assert [(w.name, w.loaded) for w in workers.live()] == [("a", ("demo",))]


def test_a_worker_that_retired_is_gone(workers):
    workers.publish(record("a"))
    workers.publish(record("b"))
    workers.retire("a")

    assert [worker.name for worker in workers.live()] == ["b"]


def test_a_worker_that_fell_silent_expires(workers, redis):
    workers.publish(record("a"))

    assert 0 < redis.ttl("longhand:worker:a") <= EXPIRES_S
    redis.delete("longhand:worker:a")
    assert workers.live() == []
    assert redis.zcard("longhand:workers") == 0


def test_a_worker_runs_what_it_has_or_may_fetch():
    assert record("a").can_run("demo")
    assert not record("a").can_run("small")
    assert record("a", can_download=True).can_run("small")


def test_a_field_of_a_newer_worker_is_no_error(workers, redis):
    value = record("a").model_dump_json()[:-1] + ',"mood":"calm"}'
    redis.set("longhand:worker:a", value)
    redis.zadd("longhand:workers", {"a": 1})

    assert [worker.name for worker in workers.live()] == ["a"]
