"""Several who read one job by its Idempotency-Key: it goes on until the last of them has left."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable

from flask.testing import FlaskClient
from waiting import wait_until
from werkzeug.test import TestResponse
from work import newest, succeed

from gateway.services import Services
from shared.records import Status

KEY = {"Idempotency-Key": "once"}


class Caller:
    """Somebody who posts to OpenAI's route with the key, and may hang up."""

    def __init__(self, client: FlaskClient, audio: bytes) -> None:
        self._client = client
        self._audio = audio
        self._has_gone = threading.Event()
        self.n_looks = 0

    def _is_gone(self) -> bool:
        self.n_looks += 1
        return self._has_gone.is_set()

    def post(self, **fields: str) -> TestResponse:
        """Post; a stream is answered before it is read."""
        return self._client.application.test_client().post(
            "/v1/audio/transcriptions",
            data={"file": (io.BytesIO(self._audio), "a.wav"), **fields},
            headers=KEY,
            environ_overrides={"waitress.client_disconnected": self._is_gone},
        )

    def hang_up(self, stream: TestResponse | None = None) -> None:
        """Go away; from a stream, which is told so."""
        self._has_gone.set()
        if stream is not None:
            stream.get_data()


def status(services: Services) -> Status:
    """How the only job stands."""
    [job] = services.jobs.newest()
    return job.status


def test_a_stream_ends_its_job_when_the_last_of_its_readers_has_left(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    callers = [Caller(client, speech) for _ in range(3)]
    streams = [caller.post(stream="true") for caller in callers]
    seen = []
    for caller, stream in zip(callers, streams, strict=True):
        caller.hang_up(stream)
        seen.append(status(services))

    assert seen == ["queued", "queued", "cancelled"]


def test_the_maker_of_a_stream_leaves_it_to_who_waits_for_its_end(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    maker, waiter = Caller(client, speech), Caller(client, speech)
    stream = maker.post(stream="true")
    answers: list[TestResponse] = []
    waiting = threading.Thread(target=lambda: answers.append(waiter.post()))
    waiting.start()
    wait_until(lambda: waiter.n_looks > 1, 20, "one who waits")

    maker.hang_up(stream)
    succeed(services, services.jobs.newest()[0].id)
    waiting.join(20)

    assert [answer.status_code for answer in answers] == [200]


def test_a_stream_does_not_end_a_job_whose_id_was_handed_out(
    make_client: Callable[..., FlaskClient], services: Services, speech: bytes
) -> None:
    client = make_client(max_wait_s=1.0)
    maker, waiter = Caller(client, speech), Caller(client, speech)
    stream = maker.post(stream="true")
    given = waiter.post()

    maker.hang_up(stream)

    assert given.status_code == 504
    assert services.jobs.newest()[0].id in given.text
    assert status(services) == "queued"


def test_the_key_of_a_stream_that_was_hung_up_makes_a_new_job(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    caller = Caller(client, speech)
    caller.hang_up(caller.post(stream="true"))
    gone = newest(services)
    stream = Caller(client, speech).post(stream="true")  # which is held: it is not closed yet

    assert stream.status_code == 200
    assert [job.status for job in services.jobs.newest()] == ["queued", "cancelled"]
    assert services.jobs.newest()[1] == gone
