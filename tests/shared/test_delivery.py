"""Delivery slips: what Redis says is never trusted to name a function."""

from __future__ import annotations

import socket

import pytest
from rq import Callback, Queue
from rq.job import JobStatus
from rq.serializers import JSONSerializer
from rq.webhook import Webhook

from shared.delivery import BELL, QUEUES, RUN_JOB, Delivery, Slip, slip_attempt, slip_id
from shared.records import PRIORITIES


class NotedSlip(Slip):
    """A slip of a worker that only notes what it was told to run."""

    ran: list = []

    @staticmethod
    def run(job_id, attempt):
        NotedSlip.ran.append((job_id, attempt))


@pytest.fixture
def write_slip(redis):
    """Put a slip into Redis by RQ's own means and fetch it as a worker does."""

    def write(function, *args, **options):
        queue = Queue(QUEUES["normal"], connection=redis, serializer=JSONSerializer)
        written = queue.enqueue(function, args=args, job_id=slip_id("a" * 32, 2), **options)
        return NotedSlip.fetch(written.id, connection=redis, serializer=JSONSerializer)

    return write


def test_a_slip_id_tells_its_attempt():
    assert slip_attempt(slip_id("0f3a", 12)) == 12


def test_a_slip_runs_the_workers_own_function(write_slip):
    NotedSlip.ran.clear()
    write_slip(RUN_JOB, "a" * 32).perform()

    assert NotedSlip.ran == [("a" * 32, 2)]


@pytest.mark.parametrize(
    "name", ["os.system", "worker.job.run_job_", "builtins.eval", "", "run_job"]
)
def test_a_slip_that_names_another_function_is_refused(write_slip, tmp_path, name):
    slip = write_slip(name or "os.getcwd", f"touch {tmp_path / 'owned'}")
    if not name:
        slip._func_name = ""

    with pytest.raises(ValueError, match="only worker.job.run_job may run"):
        slip.perform()
    assert not (tmp_path / "owned").exists()


def test_a_callback_named_in_redis_is_not_imported(write_slip):
    danger = Callback("os.system")
    slip = write_slip(RUN_JOB, "a" * 32, on_success=danger, on_failure=danger, on_stopped=danger)

    assert (slip.success_callback, slip.failure_callback, slip.stopped_callback) == (None,) * 3


def test_a_slip_of_a_process_that_runs_no_jobs_is_refused(redis, write_slip):
    written = write_slip(RUN_JOB, "a" * 32)
    slip = Slip.fetch(written.id, connection=redis, serializer=JSONSerializer)

    with pytest.raises(ValueError, match="may run"):
        slip.perform()


def test_enqueuing_rings_the_bell(redis):
    Delivery(redis).enqueue("a" * 32, 1)

    assert Delivery(redis).waiting_runs() == {"a" * 32}
    assert redis.llen(BELL) == 1


@pytest.mark.parametrize("priority", PRIORITIES)
def test_each_priority_has_a_queue_of_its_own(redis, priority):
    delivery = Delivery(redis)
    delivery.enqueue("a" * 32, 1, priority=priority)

    assert redis.lrange(f"rq:queue:{QUEUES[priority]}", 0, -1) == [b"a" * 32 + b"-1"]
    assert delivery.waiting_runs() == {"a" * 32}


@pytest.mark.parametrize("priority", PRIORITIES)
def test_what_a_dead_worker_pulled_is_forgotten_whatever_its_queue(redis, priority):
    delivery, key = Delivery(redis), f"rq:queue:{QUEUES[priority]}"
    delivery.enqueue("a" * 32, 1, priority=priority)
    delivery.enqueue("b" * 32, 1, priority=priority)
    redis.lmove(key, f"{key}:intermediate")
    delivery.forget("a" * 32, 1)

    assert delivery.waiting_runs() == {"b" * 32}
    assert redis.keys("rq:queue:*intermediate") == []
    assert redis.keys("rq:job:*") == [b"rq:job:" + b"b" * 32 + b"-1"]


def test_the_bell_does_not_grow_without_end(redis):
    delivery = Delivery(redis)
    redis.lpush(BELL, *([1] * 1000))
    delivery.enqueue("a" * 32, 1)

    assert redis.llen(BELL) == 256


def test_an_address_in_redis_is_never_called(redis, write_slip):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        slip = write_slip(RUN_JOB, "a" * 32, webhooks=[Webhook(url, "finished")])
        n_webhooks = len(slip.webhooks)
        slip.send_webhooks(JobStatus.FINISHED)

        assert n_webhooks == 1
        with pytest.raises(BlockingIOError):
            listener.accept()
