"""Events of jobs, as listeners hear them over HTTP."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import pytest
from listeners import Socket
from waiting import wait_until

from shared.keys import EVENTS
from shared.records import new_job_id


def ids(heard):
    return [event.id for event in heard]


def statuses(heard):
    return [event.data["status"] for event in heard]


@pytest.fixture
def live(start_live):
    return start_live()


def test_a_listener_hears_how_its_job_stands_and_then_what_happens(live, journal, listen):
    job_id = journal.submit()
    listener = listen(live.url, f"/jobs/{job_id}/events")
    listener.wait(1)
    journal.start(job_id)
    journal.say(job_id, "segments", index=0, segments=[{"text": " Good morning."}])
    journal.report(job_id, 0.5)
    journal.cancel(job_id)
    heard = listener.wait_for_end()

    assert listener.status == 200
    assert listener.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert listener.headers["X-Accel-Buffering"] == "no"
    assert listener.headers["Cache-Control"] == "no-store"
    kinds = [event.kind for event in heard if event.data.get("status") != "queued"]
    assert kinds == ["job", "segments", "job", "job"]
    assert heard[0].data == {
        "job_id": job_id,
        "status": "queued",
        "stage": None,
        "progress": 0.0,
        "audio_done_s": 0.0,
        "eta_s": None,
        "attempt": 1,
    }
    [told] = [event for event in heard if event.kind == "segments"]
    assert told.data["segments"] == [{"text": " Good morning."}]
    assert heard[-1].data["status"] == "cancelled"


def test_a_listener_hears_nothing_of_another_job(live, journal, listen):
    mine, other = journal.submit(), journal.submit()
    listener = listen(live.url, f"/jobs/{mine}/events")
    listener.wait(1)
    journal.start(other)
    journal.cancel(mine)

    assert {event.data["job_id"] for event in listener.wait_for_end()} == {mine}


def test_a_job_that_has_ended_is_told_once(live, journal, listen):
    job_id = journal.submit()
    final = journal.cancel(job_id)
    first = listen(live.url, f"/jobs/{job_id}/events")
    heard = first.wait_for_end()
    again = listen(live.url, f"/jobs/{job_id}/events", {"Last-Event-ID": heard[-1].id})
    by_event = listen(live.url, f"/jobs/{job_id}/events?last_event_id={final}")

    assert statuses(heard) == ["cancelled"]
    assert (again.status, by_event.status) == (204, 204)  # a browser comes back no more


def test_a_listener_who_comes_back_gets_what_they_missed_and_nothing_twice(live, journal, listen):
    job_id = journal.submit()
    journal.start(job_id)
    first = listen(live.url, f"/jobs/{job_id}/events")
    first.wait(1)
    last = journal.report(job_id, 0.1)
    wait_until(lambda: last in ids(first.heard), 20, "the report is heard")
    first.hang_up()
    missed = [journal.report(job_id, n / 10) for n in (2, 3, 4)]
    second = listen(live.url, f"/jobs/{job_id}/events", {"Last-Event-ID": last})
    assert ids(second.wait(3)) == missed
    end = journal.cancel(job_id)

    assert ids(second.wait_for_end()) == [*missed, end]


def test_a_listener_who_was_away_while_the_job_ended_gets_its_end(live, journal, listen):
    job_id = journal.submit()
    journal.start(job_id)
    last = journal.report(job_id, 0.1)
    end = journal.cancel(job_id)
    listener = listen(live.url, f"/jobs/{job_id}/events", {"Last-Event-ID": last})

    assert ids(listener.wait_for_end())[-1] >= end
    assert statuses(listener.heard)[-1] == "cancelled"


def test_a_listener_who_missed_more_than_is_kept_gets_how_things_stand(live, journal, listen):
    job_id = journal.submit()
    journal.start(job_id)
    told = {"Last-Event-ID": "1600000000000-0"}
    listener = listen(live.url, f"/jobs/{job_id}/events", told)

    # The program may read of the start only now: then that is told too.
    assert set(statuses(listener.wait(1))) == {"running"}


def test_all_ones_own_jobs_are_heard_and_nobody_elses(start_live, journal, listen):
    live = start_live(trusted_proxies="127.0.0.1/32")
    ann, bob = {"X-Remote-User": "ann"}, {"X-Remote-User": "bob"}
    waiting = journal.submit("ann")
    journal.submit("bob")
    listener = listen(live.url, "/events", ann)
    assert [event.data["job_id"] for event in listener.wait(1)] == [waiting]
    theirs, mine = journal.submit("bob"), journal.submit("ann")
    journal.start(theirs)
    journal.start(mine)
    journal.cancel(waiting)
    heard = listener.wait(4)
    missed = listen(live.url, "/events", ann | {"Last-Event-ID": heard[2].id})
    foreign = listen(live.url, "/events", bob | {"Last-Event-ID": heard[0].id})

    assert [(e.data["job_id"], e.data["status"]) for e in heard[1:]] == [
        (mine, "queued"),
        (mine, "running"),
        (waiting, "cancelled"),
    ]
    assert ids(missed.wait(1)) == [heard[3].id]
    assert {e.data["job_id"] for e in foreign.wait(1)}.isdisjoint({mine, waiting})


def test_another_owners_job_is_not_there(start_live, journal, listen):
    live = start_live(trusted_proxies="127.0.0.1/32")
    job_id = journal.submit("ann")
    refused = listen(live.url, f"/jobs/{job_id}/events", {"X-Remote-User": "bob"})
    absent = listen(live.url, f"/jobs/{new_job_id()}/events", {"X-Remote-User": "bob"})

    assert (refused.status, absent.status) == (404, 404)
    assert b'"code":"job_not_found"' in refused.body


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/events?last_event_id=soon", 400, b"Last-Event-ID is 'soon'"),
        ("/events?last_event_id=" + 41 * "1", 400, b"Last-Event-ID is '1111"),
        ("/events?last_id=1-0", 400, b"'last_id' is not known here"),
        ("/nowhere", 404, b"there is nothing at '/nowhere'"),
        ("/ws/jobs/1", 426, b"this is a WebSocket"),
    ],
)
def test_what_cannot_be_is_refused_as_json(live, path, status, said, listen):
    refused = listen(live.url, path)

    assert refused.status == status
    assert refused.headers["Content-Type"] == "application/json"
    assert b'"success":false' in refused.body
    assert said in refused.body


def test_every_answer_has_an_id(live, journal, listen):
    job_id = journal.submit()
    told = {"X-Request-Id": "order-66"}
    answers = [
        listen(live.url, f"/jobs/{job_id}/events", told),
        listen(live.url, "/events?last_event_id=soon", told),
        listen(live.url, "/nowhere", told),
        Socket(live.url, f"/ws/jobs/{job_id}", told),
        Socket(live.url, f"/ws/jobs/{new_job_id()}", told),
    ]
    for socket in answers[3:]:
        socket.close()
    chosen = [listen(live.url, "/health/live").headers["X-Request-Id"] for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 400, 404, 101, 404]
    assert {answer.headers["X-Request-Id"] for answer in answers} == {"order-66"}
    assert chosen[0] != chosen[1]


def test_silence_is_broken_by_comments(start_live, journal, listen):
    live = start_live(sse_keepalive_s=0.1)
    listener = listen(live.url, "/events")
    wait_until(lambda: len(listener.comments) >= 3, 20, "three comments")

    assert listener.heard == []


def test_one_listener_too_many_is_told_to_come_back(start_live, listen):
    live = start_live(live_max_listeners=2)
    listeners = [listen(live.url, "/events") for _ in range(2)]
    refused = listen(live.url, "/events")
    listeners[0].hang_up()

    assert refused.status == 503
    assert refused.headers["Retry-After"] == "5"
    assert b"LONGHAND_LIVE_MAX_LISTENERS" in refused.body
    # A listener who leaves makes room.
    wait_until(lambda: listen(live.url, "/events").status == 200, 20, "room")


def test_a_head_is_answered_without_a_stream(live, listen):
    parts = urlsplit(live.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    connection.request("HEAD", "/events")
    answer = connection.getresponse()

    assert (answer.status, answer.read()) == (200, b"")
    connection.close()


def test_a_listener_that_reads_too_slowly_is_sent_away_and_misses_nothing(live, journal, listen):
    job_id = journal.submit()
    journal.start(job_id)
    slow = listen(live.url, f"/jobs/{job_id}/events", reads=False)
    text = "x" * 40_000  # 30 MB of them: more than sockets hold
    said = [journal.say(job_id, "segments", index=n, segments=[text]) for n in range(750)]
    prompt = listen(live.url, f"/jobs/{job_id}/events", {"Last-Event-ID": said[0]})
    prompt.wait(749)
    slow.may_read.set()
    # Before them come how the job stands and, if the program was behind, how it came to that.
    heard = [event for event in ids(slow.wait_for_end()) if event in said]
    again = listen(live.url, f"/jobs/{job_id}/events", {"Last-Event-ID": heard[-1]})

    assert heard == said[: len(heard)]
    assert ids(again.wait(1))[0] == said[len(heard)]


def test_a_listener_who_reads_fast_gets_every_event_of_a_burst(live, journal, listen):
    job_id = journal.submit()
    journal.start(job_id)
    listener = listen(live.url, f"/jobs/{job_id}/events")
    listener.wait(1)
    with journal.redis.pipeline() as burst:  # in one transaction: all are there at once
        for n in range(400):
            data = json.dumps({"job_id": job_id, "index": n, "segments": []})
            entry = {"job": job_id, "owner": "local", "type": "segments", "data": data}
            burst.xadd(EVENTS, entry)
        said = [entry_id.decode() for entry_id in burst.execute()]
    journal.cancel(job_id)

    assert [event for event in ids(listener.wait_for_end()) if event in said] == said


def test_one_user_cannot_take_every_place(start_live, listen):
    live = start_live(trusted_proxies="127.0.0.1/32", live_max_per_owner=2, live_max_listeners=5)
    ann, bob = {"X-Remote-User": "ann"}, {"X-Remote-User": "bob"}
    listeners = [listen(live.url, "/events", ann) for _ in range(2)]
    refused = listen(live.url, "/events", ann)
    # Those whom nobody names share one name, and are many.
    others = [listen(live.url, "/events", headers).status for headers in (bob, {}, {})]
    listeners[0].hang_up()

    assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
    assert b"LONGHAND_LIVE_MAX_PER_OWNER" in refused.body
    assert others == [200] * 3
    wait_until(lambda: listen(live.url, "/events", ann).status == 200, 20, "room")


def test_a_program_that_is_told_to_stop_sends_its_listeners_away(live, journal, listen):
    listeners = [listen(live.url, "/events") for _ in range(20)]

    assert live.stop(deadline_s=10) == 0
    for listener in listeners:
        listener.wait_for_end()
    assert "Traceback" not in live.log.read_text()
