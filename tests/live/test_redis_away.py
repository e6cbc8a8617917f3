"""Redis goes away and comes back: nobody who listens has to know."""

from __future__ import annotations

import signal

import pytest
from journal import Journal
from redis import Redis
from waiting import wait_until

from cli.stack import Stack
from shared.keys import EVENTS

pytestmark = pytest.mark.faults


@pytest.fixture
def stack(start_stack):
    """A Redis that may be stopped, and a gateway."""
    return start_stack(n_workers=0)


@pytest.fixture
def journal(stack):
    with Redis.from_url(stack.redis_url) as redis:
        yield Journal(redis, stack.storage_dir)


@pytest.fixture
def live(start_live, stack):
    return start_live(redis_url=stack.redis_url, storage_dir=stack.storage_dir)


def is_refused(listen, live, path):
    refused = listen(live.url, path)
    return refused.status == 503 and refused


@pytest.mark.parametrize("end", [Stack.stop_redis, Stack.kill_redis])
def test_listeners_stay_and_hear_what_happens_after(stack, live, journal, listen, end):
    job_id = journal.submit()
    path = f"/jobs/{job_id}/events"
    listener = listen(live.url, path)
    listener.wait(1)
    end(stack)
    refused = wait_until(lambda: is_refused(listen, live, path), 20, "503")
    stack.start_redis()
    wait_until(lambda: listen(live.url, path).status == 200, 20, "200")
    journal.start(job_id)
    journal.cancel(job_id)
    heard = listener.wait_for_end()

    assert b'"code":"busy"' in refused.body
    assert refused.headers["Retry-After"] == "5"
    statuses = [event.data["status"] for event in heard]
    assert list(dict.fromkeys(statuses)) == ["queued", "running", "cancelled"]


def test_listeners_are_told_how_things_stand_when_events_were_lost(stack, live, journal, listen):
    job_id = journal.submit()
    journal.say(job_id, status="queued")
    listener = listen(live.url, f"/jobs/{job_id}/events")
    listener.wait(1)
    # It sleeps over all of it: when it wakes, the stream it knew is gone.
    live.child.send_signal(signal.SIGSTOP)
    stack.stop_redis()
    stack.start_redis()
    journal.redis.delete(EVENTS)
    assert journal.jobs.runs.claim(job_id, 1, "w1")
    journal.jobs.cancel(job_id)
    live.child.send_signal(signal.SIGCONT)

    assert listener.wait_for_end()[-1].data["status"] == "cancelled"


def test_listeners_to_all_jobs_get_those_that_ended_while_events_were_lost(
    stack, live, journal, listen
):
    ends, waits = journal.submit(), journal.submit()
    listener = listen(live.url, "/events")
    last = listener.wait(2)[-1].id
    live.child.send_signal(signal.SIGSTOP)
    stack.stop_redis()
    stack.start_redis()
    journal.redis.delete(EVENTS)
    journal.cancel(ends)
    live.child.send_signal(signal.SIGCONT)
    listener.wait(4)
    away = listen(live.url, "/events", {"Last-Event-ID": last})

    for heard in (listener.heard[2:], away.wait(2)):
        standing = {event.data["job_id"]: event.data["status"] for event in heard}
        assert standing == {waits: "queued", ends: "cancelled"}
