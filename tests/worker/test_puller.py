"""From a slip in Redis to a slot: nothing is lost, nothing but our job runs, stopping is prompt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from redis import Redis
from waiting import wait_until

from cli.redis_server import free_port
from shared.connections import connect_briefly, connect_patiently
from shared.delivery import Delivery
from shared.records import PRIORITIES, Priority, new_job_id
from worker.jobs.rq_worker import Puller


class Slots:
    """What was run, and in how many threads at a time."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, int]] = []
        self.most_at_once = 0
        self.may_end = threading.Event()
        self.may_end.set()
        self._n_running = 0
        self._lock = threading.Lock()

    def run(self, job_id: str, attempt: int) -> None:
        with self._lock:
            self.ran.append((job_id, attempt))
            self._n_running += 1
            self.most_at_once = max(self.most_at_once, self._n_running)
        assert self.may_end.wait(20)
        with self._lock:
            self._n_running -= 1


@pytest.fixture
def slots() -> Slots:
    return Slots()


@pytest.fixture
def open_puller(slots: Slots) -> Iterator[Callable[..., Puller]]:
    """Start pullers; each is stopped with the test."""
    started: list[Puller] = []
    clients: list[Redis] = []

    def start(url: str, run: Callable[[str, int], None] = slots.run, n_slots: int = 2) -> Puller:
        clients.extend([connect_patiently(url), connect_briefly(url)])
        puller = Puller(clients[-2], run, pulling=clients[-1], n_slots=n_slots, name="w")
        started.append(puller)
        puller.start()
        return puller

    yield start
    slots.may_end.set()
    for puller in started:
        puller.stop()
        puller.join(20)
    for client in clients:
        client.close()


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as redis:
        yield redis


def enqueue(redis: Redis, n: int = 1, priority: Priority = "normal") -> list[str]:
    ids = [new_job_id() for _ in range(n)]
    for job_id in ids:
        Delivery(redis).enqueue(job_id, 1, priority=priority)
    return ids


def test_every_slip_is_run_once_in_at_most_so_many_slots(
    open_puller: Callable[..., Puller], redis: Redis, redis_url: str, slots: Slots
) -> None:
    slots.may_end.clear()
    open_puller(redis_url, n_slots=3)
    ids = enqueue(redis, 10)
    wait_until(lambda: len(slots.ran) == 3, 20, "three slots are taken")
    n_waiting = redis.llen("rq:queue:longhand")
    slots.may_end.set()
    wait_until(lambda: len(slots.ran) == 10, 20, "all are run")

    assert n_waiting == 7
    assert sorted(slots.ran) == sorted((job_id, 1) for job_id in ids)
    assert slots.most_at_once == 3
    wait_until(lambda: redis.keys("rq:job:*") == [], 20, "no slip is left")
    assert redis.lrange("rq:queue:longhand:intermediate", 0, -1) == []


def test_urgent_jobs_come_first_and_each_queue_in_order(
    open_puller: Callable[..., Puller], redis: Redis, redis_url: str, slots: Slots
) -> None:
    low, normal = enqueue(redis, 1, "low"), enqueue(redis, 1)
    high = enqueue(redis, 2, "high")
    open_puller(redis_url, n_slots=1)
    wait_until(lambda: len(slots.ran) == 4, 20, "all are run")

    assert slots.ran == [(job_id, 1) for job_id in high + normal + low]


def test_a_long_backlog_of_urgent_jobs_starves_no_others(
    open_puller: Callable[..., Puller], redis: Redis, redis_url: str, slots: Slots
) -> None:
    ids = {priority: set(enqueue(redis, 40, priority)) for priority in PRIORITIES}
    open_puller(redis_url, n_slots=1)
    wait_until(lambda: len(slots.ran) >= 32, 20, "four times eight are run")

    first = [job_id for job_id, _ in slots.ran[:32]]
    n_run = {priority: sum(job_id in ids[priority] for job_id in first) for priority in PRIORITIES}
    assert n_run == {"high": 24, "normal": 4, "low": 4}


@pytest.mark.parametrize("priority", PRIORITIES)
def test_a_slip_of_any_queue_leaves_nothing_behind(
    open_puller: Callable[..., Puller],
    redis: Redis,
    redis_url: str,
    slots: Slots,
    priority: Priority,
) -> None:
    gone, run = enqueue(redis, 2, priority)
    redis.delete(f"rq:job:{gone}-1")
    open_puller(redis_url, n_slots=1)
    wait_until(lambda: slots.ran, 20, "it is run")

    assert slots.ran == [(run, 1)]
    wait_until(lambda: redis.keys("rq:job:*") == [], 20, "no slip is left")
    assert redis.keys("rq:queue:*") == []


def test_a_slip_that_became_more_urgent_runs_once_and_leaves_nothing_behind(
    open_puller: Callable[..., Puller], redis: Redis, redis_url: str, slots: Slots
) -> None:
    [job_id] = enqueue(redis, 1, "low")
    Delivery(redis).enqueue(job_id, 1, priority="high")
    [last] = enqueue(redis, 1, "low")
    open_puller(redis_url, n_slots=1)
    wait_until(lambda: (last, 1) in slots.ran, 20, "the last is run")

    assert slots.ran == [(job_id, 1), (last, 1)]
    wait_until(lambda: redis.keys("rq:queue:*") == [], 20, "no list holds a slip")


def test_an_idle_worker_hears_the_bell(
    open_puller: Callable[..., Puller], redis: Redis, redis_url: str, slots: Slots
) -> None:
    open_puller(redis_url)
    wait_until(lambda: b"cmd=blpop" in redis.execute_command("CLIENT", "LIST"), 20, "it is idle")

    enqueue(redis)
    started = time.monotonic()
    wait_until(lambda: slots.ran, 20, "it is run")

    assert time.monotonic() - started < 1.5  # without the bell it would be up to two seconds


def test_a_job_that_raises_or_a_slip_that_is_gone_ends_no_slot(
    open_puller: Callable[..., Puller], redis: Redis, redis_url: str
) -> None:
    ran: list[str] = []

    def run(job_id: str, attempt: int) -> None:
        ran.append(job_id)
        raise RuntimeError("not to be expected")

    ids = enqueue(redis, 3)
    redis.delete(f"rq:job:{ids[1]}-1")
    redis.rpush("rq:queue:longhand", "no-slip-at-all")
    open_puller(redis_url, run, n_slots=1)
    ids += enqueue(redis)

    wait_until(lambda: ids[3] in ran, 20, "the last is run")
    assert ran == [ids[0], ids[2], ids[3]]
    assert redis.lrange("rq:queue:longhand:intermediate", 0, -1) == []


def test_a_slip_that_names_another_function_is_not_run(
    open_puller: Callable[..., Puller], redis: Redis, redis_url: str, slots: Slots
) -> None:
    bad, good = new_job_id(), new_job_id()
    Delivery(redis).enqueue(bad, 1)
    slip = f"rq:job:{bad}-1"
    data = redis.hget(slip, "data")
    Delivery(redis).enqueue(good, 1)
    assert isinstance(data, bytes)
    redis.hset(slip, "data", b'["os.getcwd", null, [], {}]')
    open_puller(redis_url, n_slots=1)

    wait_until(lambda: slots.ran, 20, "the good one is run")
    assert slots.ran == [(good, 1)]


def test_stopping_waits_for_the_jobs_in_hand_and_takes_no_more(
    open_puller: Callable[..., Puller], redis: Redis, redis_url: str, slots: Slots
) -> None:
    slots.may_end.clear()
    puller = open_puller(redis_url, n_slots=1)
    first, second = enqueue(redis, 2)
    wait_until(lambda: slots.ran, 20, "one is in hand")
    puller.stop()
    ended_early = puller.join(0.3)
    slots.may_end.set()

    assert not ended_early
    assert puller.join(20)
    assert slots.ran == [(first, 1)]
    assert redis.lrange("rq:queue:longhand", 0, -1) == [f"{second}-1".encode()]


def test_an_idle_worker_stops_soon_while_redis_is_away(
    open_puller: Callable[..., Puller],
) -> None:
    puller = open_puller(f"redis://127.0.0.1:{free_port()}/0")
    puller.stop()

    assert puller.join(10)
