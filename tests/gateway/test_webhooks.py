"""Callers who gave a `callback_url` get a signed message when the job has ended."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from waiting import wait_until
from work import fail, succeed, upload

from gateway.settings import GatewaySettings
from gateway.webhooks.due import DueMessages
from gateway.webhooks.sender import Webhooks
from shared.keys import JOB

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def settings(redis_url, storage_dir):
    return GatewaySettings(
        redis_url=redis_url,
        storage_dir=storage_dir,
        default_model="demo",
        webhook_secret=SECRET,
        allowed_hosts="127.0.0.1",
    )


@pytest.fixture
def start_sender(services):
    """A function that starts what sends messages in a gateway."""
    started = []

    def start(**options):
        sender = Webhooks(services.redis, services.jobs, services.settings, **options)
        sender.start()
        started.append(sender)
        return sender

    yield start
    for sender in started:
        sender.stop()
        sender.join(20)


def accept(client, speech, host, path="/ended"):
    """Send a job whose end is to be told to a host; its id."""
    callback_url = host if isinstance(host, str) else f"http://127.0.0.1:{host.port}{path}"
    answer = upload(client, speech, callback_url=callback_url, cache="false")
    assert answer.status_code == 202, answer.json
    return answer.json["job_id"]


def read_message(request):
    """What a receiver makes of a message, by the library of those who wrote the standard."""
    return Webhook(SECRET).verify(request.body, request.headers)


def deliveries(client, job_id):
    return client.get(f"/jobs/{job_id}/deliveries").json


def outcomes(client, job_id):
    return [made["outcome"] for made in deliveries(client, job_id)["deliveries"]]


def test_the_end_of_a_job_is_told_and_signed(client, services, speech, receive, start_sender):
    host = receive()
    start_sender()
    job_id = accept(client, speech, host, "/ended?who=me")
    succeed(services, job_id)
    [request] = wait_until(lambda: host.requests, 20)

    message = read_message(request)
    job = client.get(f"/jobs/{job_id}").json
    assert (request.method, request.path) == ("POST", "/ended?who=me")
    assert request.headers["content-type"] == "application/json"
    assert (message["type"], message["timestamp"]) == ("job.succeeded", job["ended_at"])
    assert {name: job[name] for name in message["data"]} == message["data"]
    assert message["data"]["job_id"] == job_id
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(request.body.replace(b"succeeded", b"cancelled"), request.headers)


def test_a_job_that_failed_or_was_cancelled_is_told_too(
    client, services, speech, receive, start_sender
):
    host = receive()
    failed, cancelled = accept(client, speech, host), accept(client, speech, host)
    fail(services, failed, {"code": "engine_failed", "message": "it broke"})
    services.jobs.cancel(cancelled)
    start_sender()
    wait_until(lambda: len(host.requests) == 2, 20)

    told = {m["data"]["job_id"]: m for m in map(read_message, host.requests)}
    assert told[failed]["type"] == "job.failed"
    assert told[failed]["data"]["error"] == {"code": "engine_failed", "message": "it broke"}
    assert told[cancelled]["type"] == "job.cancelled"


def test_a_message_is_sent_again_until_it_arrives(client, services, speech, receive, start_sender):
    host = receive(500, 302, 200)
    job_id = accept(client, speech, host)
    succeed(services, job_id)
    start_sender(schedule_s=(0, 0.01, 0.01, 0.01, 0.01))
    wait_until(lambda: outcomes(client, job_id)[-1:] == ["delivered"], 20)

    told = deliveries(client, job_id)
    assert [(t["attempt"], t["outcome"], t["status_code"]) for t in told["deliveries"]] == [
        (1, "failed", 500), (2, "failed", 302), (3, "delivered", 200),
    ]  # fmt: skip
    assert {t["webhook_id"] for t in told["deliveries"]} == {
        request.headers["webhook-id"] for request in host.requests
    }
    assert len({request.body for request in host.requests}) == 1
    assert told["next_at"] is None


def test_a_receiver_that_is_never_there_is_given_up(client, services, speech, start_sender):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    job_id = accept(client, speech, f"http://127.0.0.1:{port}/")
    succeed(services, job_id)
    start_sender(schedule_s=(0, 0.01, 0.01))
    wait_until(lambda: "given_up" in outcomes(client, job_id), 20)

    assert outcomes(client, job_id) == ["failed", "failed", "given_up"]
    assert deliveries(client, job_id)["deliveries"][0]["error"] == (
        "the receiver could not be reached: it cannot be connected to"
    )
    assert services.redis.hgetall("longhand:totals")[b"webhooks:failed"] == b"2"


def test_a_record_that_cannot_be_read_delays_no_other(
    client, services, speech, receive, start_sender
):
    host = receive()
    first, second = accept(client, speech, host), accept(client, speech, host)
    for job_id in (first, second):
        services.jobs.cancel(job_id)
    due_at = services.redis.zscore("longhand:webhooks", second)
    services.redis.zadd("longhand:webhooks", {first: due_at - 1})
    services.redis.hset(JOB.of(first), "priority", "of a newer gateway")
    start_sender()
    [request] = wait_until(lambda: host.requests, 20)

    assert read_message(request)["data"]["job_id"] == second
    assert DueMessages(services.redis).due_at(first) > due_at + 500


def test_a_receiver_that_is_gone_is_given_up_at_once(
    client, services, speech, receive, start_sender
):
    host = receive(410)
    job_id = accept(client, speech, host)
    succeed(services, job_id)
    start_sender()
    wait_until(lambda: outcomes(client, job_id), 20)

    assert outcomes(client, job_id) == ["given_up"]
    assert deliveries(client, job_id)["next_at"] is None


def test_the_second_try_comes_half_a_minute_later(client, services, speech, receive, start_sender):
    job_id = accept(client, speech, receive(503))
    succeed(services, job_id)
    start_sender()
    wait_until(lambda: outcomes(client, job_id), 20)
    due_at = wait_until(lambda: DueMessages(services.redis).due_at(job_id), 5)

    [first] = DueMessages(services.redis).log(job_id)
    assert 29 < due_at - (first.at + first.took_s) < 45


def test_no_redirect_is_followed(client, services, speech, receive, start_sender):
    elsewhere = receive()
    host = receive(307, Location=f"http://127.0.0.1:{elsewhere.port}/")
    job_id = accept(client, speech, host)
    succeed(services, job_id)
    start_sender()
    wait_until(lambda: outcomes(client, job_id), 20)

    assert (len(host.requests), elsewhere.n_connections) == (1, 0)


def test_a_dead_receiver_delays_no_other(client, services, speech, receive, start_sender):
    """Its connections are taken and never answered, for many more jobs than there are senders."""
    host = receive()
    with socket.create_server(("127.0.0.1", 0), backlog=100) as dead:
        url = f"http://127.0.0.1:{dead.getsockname()[1]}/"
        for job_id in [accept(client, speech, url) for _ in range(20)]:
            services.jobs.cancel(job_id)
        last = accept(client, speech, host)
        services.jobs.cancel(last)
        start_sender()

        wait_until(lambda: host.requests, 10, "the message to the other receiver")
        assert services.redis.zcard("longhand:webhooks") >= 20


def test_an_owners_dead_receivers_delay_no_other_owner(
    make_client, services, speech, receive, start_sender
):
    """There are more of them than senders, and each takes its message and says nothing."""
    client, host = make_client(trusted_proxies="127.0.0.1"), receive()

    def accept_of(owner, port):
        form = {"callback_url": f"http://127.0.0.1:{port}/", "cache": "false"}
        return upload(client, speech, headers={"X-Remote-User": owner}, **form).json["job_id"]

    with ExitStack() as dead:
        servers = [dead.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(20)]
        jobs = [accept_of("ann", server.getsockname()[1]) for server in servers]
        for job_id in [*jobs, accept_of("bob", host.port)]:
            services.jobs.cancel(job_id)
        start_sender()

        wait_until(lambda: host.requests, 10, "the message of the other owner")


def test_two_gateways_send_every_message_once(client, services, speech, receive, start_sender):
    hosts = [receive() for _ in range(5)]
    made = [accept(client, speech, hosts[n % 5]) for n in range(15)]
    for job_id in made:
        services.jobs.cancel(job_id)
    start_sender(), start_sender()
    wait_until(lambda: not services.redis.zcard("longhand:webhooks"), 60, "every message is sent")

    told = [read_message(r)["data"]["job_id"] for host in hosts for r in host.requests]
    assert sorted(told) == sorted(made)
    assert all(outcomes(client, job_id) == ["delivered"] for job_id in made)


def test_what_a_gateway_that_died_had_taken_is_sent_by_another(
    client, services, speech, receive, start_sender
):
    host = receive()
    job_id = accept(client, speech, host)
    services.jobs.cancel(job_id)
    [taken] = DueMessages(services.redis).take(10, lease_s=1.0)
    start_sender()
    wait_until(lambda: host.requests, 20)

    assert taken.job_id == job_id
    wait_until(lambda: outcomes(client, job_id) == ["delivered"], 20)


def test_a_lease_that_has_run_out_settles_nothing(client, services, speech, receive):
    job_id = accept(client, speech, receive())
    services.jobs.cancel(job_id)
    of_all = DueMessages(services.redis)
    [late] = of_all.take(10, lease_s=-1.0)
    [mine] = of_all.take(10, lease_s=60.0)
    of_all.settle(late)

    assert late != mine
    assert of_all.due_at(job_id) is not None
    assert of_all.take(10, lease_s=60.0) == []


def test_a_job_that_ends_again_is_told_again(client, services, speech, receive, start_sender):
    host = receive()
    job_id = accept(client, speech, host)
    fail(services, job_id, {"code": "engine_failed", "message": "it broke"})
    start_sender()
    wait_until(lambda: outcomes(client, job_id), 20)
    attempt = services.jobs.retry(job_id).attempt
    services.jobs.cancel(job_id)
    wait_until(lambda: len(outcomes(client, job_id)) == 2, 20)

    assert [r.headers["webhook-id"] for r in host.requests] == [
        f"{job_id}-1", f"{job_id}-{attempt}",
    ]  # fmt: skip
    assert [t["attempt"] for t in deliveries(client, job_id)["deliveries"]] == [1, 1]


def test_nothing_is_told_of_a_job_that_was_deleted(client, services, speech, receive, start_sender):
    host = receive()
    deleted, kept = accept(client, speech, host), accept(client, speech, host)
    for job_id in (deleted, kept):
        services.jobs.cancel(job_id)
    services.jobs.delete(deleted)
    start_sender()
    wait_until(lambda: not services.redis.zcard("longhand:webhooks"), 20)

    assert [read_message(r)["data"]["job_id"] for r in host.requests] == [kept]


def test_a_receiver_inside_is_not_called(client, services, speech, receive, start_sender):
    host = receive()
    job_id = accept(client, speech, f"http://receiver.internal:{host.port}/")
    services.jobs.cancel(job_id)
    start_sender(resolve=lambda name, port: ["127.0.0.2"])
    wait_until(lambda: outcomes(client, job_id), 20)

    [made] = deliveries(client, job_id)["deliveries"]
    assert (made["outcome"], made["status_code"]) == ("failed", None)
    assert "LONGHAND_ALLOWED_HOSTS" in made["error"]
    assert "127.0.0.2" not in json.dumps(deliveries(client, job_id))
    assert host.n_connections == 0


def test_a_gateway_sends_by_itself(start_gateway, services, client, speech, receive):
    host = receive()
    gateway = start_gateway(webhook_secret=SECRET, allowed_hosts="127.0.0.1")
    job_id = accept(client, speech, host)
    succeed(services, job_id)
    wait_until(lambda: host.requests, 20)

    assert read_message(host.requests[0])["data"]["job_id"] == job_id
    assert gateway.stop() == 0
