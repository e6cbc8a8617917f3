"""Many who listen and many who wait, at once, and the site still answers everybody."""

from __future__ import annotations

import io
import threading
import time
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import httpx2
from waiting import wait_until

N_LISTENERS = 200
N_WAITING = 24
WAIT_S = 120
HELD_UP_S = 15.0  # seven times the slowest answer seen where other tests keep two cores busy


def silence():
    """A short WAV."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(16_000))
    return out.getvalue()


def post_and_wait(url):
    """Send audio, for a run of its own, and wait for its text."""
    files = {"file": ("a.wav", silence())}
    return httpx2.post(
        f"{url}/transcribe/file?wait={WAIT_S}&cache=false", files=files, timeout=WAIT_S + 60
    )


def has_heard_end(listener):
    return "cancelled" in [event.data["status"] for event in listener.heard]


class Pulse(threading.Thread):
    """Asks one address over and over; `worst_s` is how long the slowest answer took."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self.is_over = threading.Event()
        self.n_answers, self.worst_s = 0, 0.0
        self.statuses: set[int] = set()

    def run(self) -> None:
        with httpx2.Client(timeout=30) as client:
            while not self.is_over.is_set():
                began = time.monotonic()
                self.statuses.add(client.get(self._url).status_code)
                self.worst_s = max(self.worst_s, time.monotonic() - began)
                self.n_answers += 1


@contextmanager
def pulses(*urls: str) -> Iterator[list[Pulse]]:
    """Ask all of them within the block."""
    asking = [Pulse(url) for url in urls]
    for pulse in asking:
        pulse.start()
    yield asking
    for pulse in asking:
        pulse.is_over.set()
        pulse.join()


def test_health_answers_while_two_hundred_listen_and_many_wait(
    start_program, start_live, journal, listen
):
    gateway = start_program("gateway")
    live = start_live()
    heard_by_all = journal.submit()
    listeners = [listen(live.url, "/events") for _ in range(N_LISTENERS)]
    health = (f"{gateway.url}/health", f"{live.url}/health/live")

    def n_queued():
        return journal.jobs.figures.counts()["queued"] - 1

    with ThreadPoolExecutor(N_WAITING) as callers, pulses(*health) as (of_gateway, of_live):
        waiting = [callers.submit(post_and_wait, gateway.url) for _ in range(N_WAITING)]
        wait_until(lambda: n_queued() == N_WAITING, 60, "all wait")
        asked = of_gateway.n_answers
        wait_until(lambda: of_gateway.n_answers > asked + 5, 60, "health")
        still_waiting = not any(call.done() for call in waiting)
        journal.cancel(heard_by_all)
        for record in journal.jobs.newest(limit=100):
            journal.jobs.cancel(record.id)
        answers = [call.result() for call in waiting]
        for listener in listeners:
            wait_until(partial(has_heard_end, listener), 30, "the end is heard")

    assert [listener.status for listener in listeners] == [200] * N_LISTENERS
    assert still_waiting
    assert {answer.status_code for answer in answers} == {409}
    assert of_gateway.statuses == of_live.statuses == {200}
    assert of_gateway.worst_s < HELD_UP_S
    assert of_live.worst_s < HELD_UP_S
