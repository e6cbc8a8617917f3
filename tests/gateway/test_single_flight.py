"""Equal requests at once are one run, over a whole stack with the real model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from httpx2 import Client, ReadTimeout, Response
from sites import Site, models
from spoken import draw_long_clip, transcribe_here
from waiting import wait_until

from cli.stack import Stack
from shared.request import TranscriptionRequest
from worker.processes.local import LocalModels

__all__ = ["models"]

pytestmark = pytest.mark.main_job
BUSY_S = 40
"""Of speech: the worker is at it for long enough that others come meanwhile."""


NAMES = ("ann", "bob")


@pytest.fixture(scope="module")
def shared_site(start_stack_once: Callable[..., Stack]) -> Iterator[Site]:
    """A site where forty may wait, and whose callers have two seconds to come again."""
    env = {
        "LONGHAND_TRUSTED_PROXIES": "127.0.0.1/32",
        "LONGHAND_WAITING_SLOTS": "40",
        "LONGHAND_THREADS": "128",
        "LONGHAND_ABANDON_AFTER_S": "2",
    }
    site = Site(start_stack_once(env=env))
    yield site
    site.close()


@pytest.fixture
def site(shared_site: Site) -> Iterator[Site]:
    """The same, with no job left of the test before."""
    yield shared_site
    for headers in ({}, *({"X-Remote-User": name} for name in NAMES)):
        while jobs := shared_site.http.get("/jobs", headers=headers).json()["jobs"]:
            for job in jobs:
                shared_site.wait(job["job_id"], 300)
                shared_site.http.delete(f"/jobs/{job['job_id']}", headers=headers)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Speech that is nobody else's."""
    return draw_long_clip(tmp_path, seed=77, length_s=BUSY_S).path


def post(site: Site, clip: Path, *, timeout_s: float = 120, **options: object) -> Response:
    """Send a clip on a connection of its own."""
    with Client(base_url=site.stack.url, timeout=timeout_s) as http, clip.open("rb") as file:
        return http.post("/transcribe/file", files={"file": file}, **options)


def runs(site: Site) -> int:
    """How many times a worker set out to do a job."""
    keys = site.redis.keys("longhand:run:" + "?" * 32)
    return sum(bool(site.redis.hget(key, "worker")) for key in keys)


def n_chunks(site: Site) -> int:
    """Chunks that went through a model so far."""
    return sum(worker.n_chunks for worker in site.workers())


def n_chunks_at_rest(site: Site, begun: int) -> int | None:
    """The same once there are more than `begun` and no job is left: workers tell now and then."""
    if any(worker.n_running for worker in site.workers()):
        return None
    found = n_chunks(site)
    return found if found > begun else None


def test_five_equal_posts_at_once_are_one_run_and_five_jobs(
    site: Site, clip: Path, models: LocalModels
) -> None:
    begun = n_chunks(site)
    with ThreadPoolExecutor(5) as callers:
        answers = list(callers.map(lambda _: post(site, clip), range(5)))
    ids = [answer.json()["job_id"] for answer in answers]
    # The race was one: all of them were in before the first run had ended.
    assert not any(site.job(job_id).status.is_final for job_id in ids)
    records = [site.wait(job_id) for job_id in ids]

    assert len(set(ids)) == 5
    assert [record.status for record in records] == ["succeeded"] * 5
    assert runs(site) == 1
    words = transcribe_here(models, clip, TranscriptionRequest(chinese="none")).text.strip()
    texts = {site.http.get(f"/jobs/{job_id}/result").json()["text"] for job_id in ids}
    assert texts == {words}
    before = wait_until(lambda: n_chunks_at_rest(site, begun), 30, "chunks counted")
    later = post(site, clip, data={"wait": "true"}).json()
    assert (later["text"], n_chunks(site)) == (words, before)


def test_the_same_key_twice_is_one_job(site: Site, clip: Path) -> None:
    with ThreadPoolExecutor(2) as callers:
        key = {"Idempotency-Key": "twice"}
        answers = list(callers.map(lambda _: post(site, clip, headers=key), range(2)))

    assert [answer.status_code for answer in answers] == [202, 202]
    assert len({answer.json()["job_id"] for answer in answers}) == 1
    assert len(site.http.get("/jobs").json()["jobs"]) == 1


def test_thirty_callers_who_give_up_and_come_again_are_all_served_by_one_run(
    site: Site, clip: Path, models: LocalModels
) -> None:
    gave_up: list[int] = []

    def insist(n: int) -> str:
        try:
            answer = post(site, clip, timeout_s=1, data={"wait": "true"})
        except ReadTimeout:
            gave_up.append(n)
            answer = post(site, clip)
        job_id = str(answer.json()["job_id"])
        site.wait(job_id, 300)
        return str(site.http.get(f"/jobs/{job_id}/result").json()["text"])

    with ThreadPoolExecutor(30) as callers:
        texts = set(callers.map(insist, range(30)))

    assert texts == {
        transcribe_here(models, clip, TranscriptionRequest(chinese="none")).text.strip()
    }
    assert len(gave_up) >= 5, "those with a waiting slot give up; the others have their 202"
    assert runs(site) == 1


def test_neither_of_two_owners_of_the_same_audio_learns_of_the_other(
    site: Site, clip: Path
) -> None:
    with ThreadPoolExecutor(2) as callers:
        answers = list(
            callers.map(lambda name: post(site, clip, headers={"X-Remote-User": name}), NAMES)
        )
    ids = [answer.json()["job_id"] for answer in answers]
    for job_id in ids:
        assert site.wait(job_id).status == "succeeded"

    assert runs(site) == 2
    for name, own, other in [("ann", *ids), ("bob", *ids[::-1])]:
        headers = {"X-Remote-User": name}
        for path in ("", "/result", "/segments", "/audio"):
            assert site.http.get(f"/jobs/{other}{path}", headers=headers).status_code == 404
        listed = site.http.get("/jobs", headers=headers).json()["jobs"]
        assert [job["job_id"] for job in listed] == [own]
