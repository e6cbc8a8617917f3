"""A whole site, up and in use: what is promised to callers while it is ill-treated."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from commands import DOCKER, output, run
from deployment import MAX_AUDIO_BYTES, PROJECT, Deployment, finished, job, text_of, upload
from spoken import draw_clips, draw_long_clip, transcribe_here
from texts import spoken_text, word_errors
from waiting import wait_until

from shared.settings import CHECKOUT
from worker.processes.local import LocalModels
from worker.settings import WorkerSettings

pytestmark = [pytest.mark.deploy, pytest.mark.main_job]

N_CLIPS = 12
LONG_S = 330
CONVERSATION = CHECKOUT / "samples" / "conversation.flac"
PULL_BASE = ("longhand", "models", "pull", "base")


@pytest.fixture(scope="module")
def clips(
    hear: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory
) -> dict[bytes, str]:
    """Short recordings, and the text that is heard in each without any deployment."""
    drawn = draw_clips(tmp_path_factory.mktemp("clips"), N_CLIPS, seed=1000)
    return {clip.path.read_bytes(): hear(clip.path) for clip in drawn}


@pytest.fixture(scope="module")
def long_clip(
    hear: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[bytes, str]:
    """Minutes of speech: a job that is still at work when something happens to it."""
    clip = draw_long_clip(tmp_path_factory.mktemp("long"), seed=1001, length_s=LONG_S)
    return clip.path.read_bytes(), hear(clip.path)


@pytest.fixture
def client(site: Deployment) -> httpx2.Client:
    """A caller with the right password, of a site that has three workers."""
    found = site.client()

    def is_whole() -> bool:
        answer = found.get("/health")
        return answer.status_code == 200 and answer.json()["workers"] >= 3

    if not is_whole():
        site.up()
        wait_until(is_whole, 60, "three workers are there")
    return found


@pytest.fixture
def worker_of(site: Deployment) -> Callable[[str], str]:
    """A function that tells the container which has, or had, a job; "" if none yet."""
    ids = {container[:12]: container for container in site.containers("worker")}

    def find(job_id: str) -> str:
        name = site.redis("hget", f"longhand:job:{job_id}", "worker").rpartition("-")[0]
        return ids.get(name, "")

    return find


@pytest.fixture
def base_in_volume(site: Deployment, real_models: Path) -> None:
    """Real weights in the site's volume, brought there as docs/airgapped.md says."""
    asked = ("--volume", f"{real_models}:/mirror:ro", "--env", "LONGHAND_MODEL_MIRROR=/mirror")
    site.compose("run", "--rm", "--no-deps", "-T", *asked, "worker", *PULL_BASE)


def seconds(moment: str | None) -> float:
    """A time of the API as seconds since the epoch."""
    assert moment is not None
    return datetime.fromisoformat(moment).timestamp()


def offer_of(client: httpx2.Client, model: str) -> dict[str, Any]:
    """What `/models` says of a model that three workers have; {} while they do not."""
    offers = client.get("/models").json().get("data", [])
    return next((o for o in offers if o["name"] == model and o["present"] == 3), {})


def test_nobody_is_let_in_without_the_right_password(site: Deployment) -> None:
    nobody = httpx2.get(f"http://127.0.0.1:{site.port}/health")
    wrong = site.client(password="wrong").get("/health")
    right = site.client().get("/health")

    assert [nobody.status_code, wrong.status_code, right.status_code] == [401, 401, 200]
    assert (right.json()["status"], right.json()["workers"]) == ("healthy", 3)


def test_uploads_become_their_texts_on_three_workers(
    client: httpx2.Client,
    clips: dict[bytes, str],
    worker_of: Callable[[str], str],
) -> None:
    with ThreadPoolExecutor(N_CLIPS) as callers:
        ids = list(callers.map(lambda audio: upload(client, audio), clips))
    heard = [text_of(client, job_id) for job_id in ids]

    assert heard == list(clips.values())
    assert len(set(heard)) > N_CLIPS // 2  # it is no constant that they agree on
    assert len({worker_of(job_id) for job_id in ids}) == 3


def test_real_weights_write_the_same_text_in_containers_as_outside(
    client: httpx2.Client, base_in_volume: None, real_models: Path
) -> None:
    offered = wait_until(lambda: offer_of(client, "base"), 30, "three workers have base")
    job_id = upload(client, CONVERSATION.read_bytes(), model="base")
    settings = WorkerSettings(
        default_model="base", models_dir=real_models, downloads=False, device="cpu"
    )
    here = transcribe_here(LocalModels(settings), CONVERSATION, model="base").text
    text = text_of(client, job_id)

    assert offered["warnings"] == []
    assert text == here
    assert word_errors(spoken_text(CONVERSATION.with_suffix(".txt")), text) == 0


def test_the_gateways_own_answer_refuses_a_body_that_is_too_large(client: httpx2.Client) -> None:
    answer = client.post("/transcribe/binary", content=bytes(MAX_AUDIO_BYTES + 1_000_000))

    assert answer.status_code == 413
    assert answer.json()["code"] == "audio_too_large"
    assert "LONGHAND_MAX_AUDIO_BYTES" in answer.json()["error"]


def test_a_job_whose_worker_is_killed_is_done_by_another(
    site: Deployment,
    client: httpx2.Client,
    long_clip: tuple[bytes, str],
    worker_of: Callable[[str], str],
) -> None:
    audio, text = long_clip
    job_id = upload(client, audio)
    first = wait_until(lambda: worker_of(job_id), 60, "a worker has the job")
    # Frozen, it cannot get done between our look and its end: the race is a real one.
    run(DOCKER, "pause", first)
    before = job(client, job_id)
    assert (before["status"], before["attempt"]) == ("running", 1)
    run(DOCKER, "kill", first)

    assert text_of(client, job_id) == text
    assert job(client, job_id)["attempt"] == 2
    assert worker_of(job_id) not in ("", first)


def test_no_accepted_job_is_lost_when_redis_is_stopped_and_started(
    site: Deployment, client: httpx2.Client, clips: dict[bytes, str], long_clip: tuple[bytes, str]
) -> None:
    wanted = {upload(client, audio): text for audio, text in [long_clip, *clips.items()]}
    site.compose("stop", "redis")
    away = client.get("/jobs")
    site.compose("start", "redis")

    assert away.status_code == 503
    assert {job_id: text_of(client, job_id) for job_id in wanted} == wanted


def test_a_new_image_of_the_worker_takes_over_without_losing_a_job(
    site: Deployment, client: httpx2.Client, long_clip: tuple[bytes, str]
) -> None:
    audio, text = long_clip
    before = {c["Image"] for c in site.inspect("worker")}
    ids = [upload(client, audio) for _ in range(4)]
    changed = {"LONGHAND_REVISION": "another"}
    site.compose("build", "--quiet", "worker", env=changed)
    running = [i for i in ids if job(client, i)["status"] == "running"]
    began = time.time()
    site.up(env=changed)
    jobs = [finished(client, job_id) for job_id in ids]

    assert {c["Image"] for c in site.inspect("worker")}.isdisjoint(before)
    assert [text_of(client, job_id) for job_id in ids] == [text] * 4
    assert {j["attempt"] for j in jobs} == {1}
    # Some were in hand when their worker was told to go, and it finished them first.
    in_hand = [j for j in jobs if seconds(j["started_at"]) < began < seconds(j["ended_at"])]
    assert running
    assert in_hand


def test_a_user_who_is_added_is_let_in_at_once(site: Deployment) -> None:
    assert site.client("ann", "her own").get("/health").status_code == 401

    site.make("user", "NAME=ann", given="her own\n")

    assert site.client("ann", "her own").get("/health").status_code == 200
    assert site.client().get("/health").status_code == 200


def test_users_have_jobs_of_their_own_whatever_name_they_send(
    site: Deployment, client: httpx2.Client, clips: dict[bytes, str]
) -> None:
    audio, text = next(iter(clips.items()))
    site.make("user", "NAME=bob", given="bobs own\n")
    bob = site.client("bob", "bobs own")
    job_id = upload(bob, audio)
    forged = {"X-Remote-User": "bob", "X-Forwarded-User": "bob", "Remote-User": "bob"}

    assert text_of(bob, job_id) == text
    assert [j["job_id"] for j in bob.get("/jobs").json()["jobs"]] == [job_id]
    assert client.get(f"/jobs/{job_id}").status_code == 404
    assert client.get(f"/jobs/{job_id}", headers=forged).status_code == 404
    assert job_id not in client.get("/jobs", headers=forged).text


def test_a_backup_brings_a_lost_site_back(
    site: Deployment, client: httpx2.Client, clips: dict[bytes, str]
) -> None:
    audio, text = next(iter(clips.items()))
    job_id = upload(client, audio)
    assert text_of(client, job_id) == text

    site.make("backup", "FILE=backups/one.tar")
    site.compose("down", "--volumes", "--timeout", "2")
    site.make("restore", "FILE=backups/one.tar")
    site.up(n_workers=1)

    assert text_of(site.client(), job_id) == text
    assert job_id in [j["job_id"] for j in site.client().get("/jobs").json()["jobs"]]


def test_make_scales_lists_and_stops(site: Deployment) -> None:
    site.make("scale", "N=2")
    listed = site.make("ps")
    assert len([c for c in site.inspect("worker") if c["State"]["Running"]]) == 2
    assert "worker-2" in listed

    site.make("down")

    assert site.containers() == []
    assert f"{PROJECT}_storage" in output(DOCKER, "volume", "ls", "--quiet").split()


def test_make_up_builds_what_has_changed_and_starts_it(site: Deployment) -> None:
    with (site.directory / "gateway" / "routes" / "models.py").open("a") as source:
        source.write("# changed\n")
    site.make("up")

    read = ("exec", "-T", "gateway", "tail", "--lines=1", "gateway/routes/models.py")
    assert site.compose(*read).stdout == "# changed\n"
    assert site.client().get("/health").json()["status"] == "healthy"


def test_down_with_its_volumes_leaves_nothing(site: Deployment) -> None:
    site.compose("down", "--volumes")

    project = f"label=com.docker.compose.project={PROJECT}"
    for kind in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
        assert output(DOCKER, *kind, "--quiet", "--filter", project) == "", kind
    if "DOCKER_SANDBOX" in os.environ:
        assert output(DOCKER, "volume", "ls", "--quiet") == ""
