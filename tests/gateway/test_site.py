"""What a site says of itself: health, models, the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error

from gateway.app import create_app
from gateway.services import Services
from shared.generations import Generations
from shared.phrase_book import WARNING
from shared.storage.local import LocalStorage

LiveWorker = Callable[..., None]


@pytest.mark.promise("C-05")
def test_a_whole_site_is_healthy(client: FlaskClient, live_worker: LiveWorker) -> None:
    live_worker("demo")

    response = client.get("/health")

    assert response.status_code == 200
    assert response.get_json() == {
        "success": True,
        "status": "healthy",
        "service": "longhand",
        "ready": True,
        "starting": False,
        "backend": "faster_whisper",
        "faster_whisper": "up",
        "redis": "connected",
        "storage": "writable",
        "workers": 1,
        "queue": {"queued": 0, "running": 0},
        "default_model": "demo",
        "default_model_usable": True,
        "live_sessions_free": 0,
        "problem": None,
        "warnings": [{"code": "demo_model", "message": WARNING}],
        "message": "OK",
    }


@pytest.mark.parametrize(
    ("default", "failed", "words"),
    [
        ("base", {}, "LONGHAND_DEFAULT_MODEL) or may fetch it (LONGHAND_DOWNLOADS); `./longhand"),
        ("tiny", {"tiny": "its file is cut short"}, "'tiny' did not load: its file is cut short"),
        (
            "bsae",
            {},
            "'bsae' (LONGHAND_DEFAULT_MODEL), and no catalogue knows it; did you mean",
        ),
    ],
)
def test_a_site_is_degraded_when_no_worker_can_run_its_default_model(
    make_client: Callable[..., FlaskClient],
    live_worker: LiveWorker,
    default: str,
    failed: dict[str, str],
    words: str,
) -> None:
    live_worker("demo", "tiny", failed=failed)
    client = make_client(default_model=default)

    answer = client.get("/health")

    health = answer.get_json()
    assert (answer.status_code, health["status"], health["ready"]) == (200, "degraded", True)
    assert (health["default_model"], health["default_model_usable"]) == (default, False)
    assert words in health["problem"]
    assert health["warnings"] == []
    assert client.get("/health/ready?workers=1").status_code == 200
    told = f'longhand_default_model_usable{{model="{default}"}} 0.0'
    assert told in client.get("/metrics").text


def test_one_worker_that_can_run_the_default_model_is_enough(
    make_client: Callable[..., FlaskClient], live_worker: LiveWorker
) -> None:
    live_worker("demo", name="w1", failed={"base": "no source has it"}, can_download=True)
    live_worker("base", name="w2")
    client = make_client(default_model="base")

    assert client.get("/health").get_json()["status"] == "healthy"
    assert 'longhand_default_model_usable{model="base"} 1.0' in client.get("/metrics").text


def test_a_site_is_starting_until_a_worker_has_come_up(
    client: FlaskClient, services: Services, live_worker: LiveWorker
) -> None:
    before = client.get("/health").get_json()
    live_worker("demo")
    services.workers.retire("w1")
    after = client.get("/health").get_json()

    assert (before["status"], before["starting"]) == ("degraded", True)
    assert "no worker is running yet" in before["problem"]
    assert (after["status"], after["starting"]) == ("degraded", False)
    assert after["problem"] == "no worker is running; jobs are accepted and wait for one"


@pytest.mark.promise("C-05")
def test_a_site_without_workers_is_ready_but_degraded(client: FlaskClient) -> None:
    health = client.get("/health").get_json()

    assert (health["status"], health["ready"], health["workers"]) == ("degraded", True, 0)
    assert "no worker is running" in health["problem"]
    assert client.get("/health/ready").status_code == 200


@pytest.mark.promise("C-05")
def test_readiness_may_ask_for_a_worker(client: FlaskClient, live_worker: LiveWorker) -> None:
    without = client.get("/health/ready?workers=1")
    live_worker("demo")
    with_one = client.get("/health/ready?workers=1")

    assert_error(without, 503, "not_ready", "no worker is running")
    assert with_one.status_code == 200


class BrokenStorage(LocalStorage):
    """Storage that was unmounted."""

    def check(self) -> NoReturn:
        """Fail."""
        raise OSError("read-only file system")


def test_a_site_that_cannot_store_is_not_ready(services: Services) -> None:
    broken = replace(services, storage=BrokenStorage(services.settings.storage_dir))
    client = create_app(services.settings, services=broken).test_client()

    health, ready = client.get("/health"), client.get("/health/ready")

    assert (health.status_code, health.get_json()["storage"]) == (200, "not writable")
    assert_error(ready, 503, "not_ready", "LONGHAND_STORAGE_DIR")


def test_models_are_those_a_request_may_name_now(
    make_client: Callable[..., FlaskClient], live_worker: LiveWorker
) -> None:
    client = make_client(model_aliases="base=demo,house=large-v3")
    live_worker("demo", "tiny")

    value = client.get("/models").get_json()

    assert (value["success"], value["models"]) == (True, ["demo", "tiny", "base"])
    assert value["default"] == "demo"
    assert value["data"][0] == {
        "name": "demo",
        "aliases": ["base"],
        "is_multilingual": True,
        "translates": False,
        "present": 1,
        "loaded": 1,
        "warnings": [{"code": "demo_model", "message": WARNING}],
    }
    assert value["data"][1]["warnings"] == []


@pytest.mark.parametrize("can_download", [None, True])
def test_every_model_may_be_named_when_one_may_come(
    client: FlaskClient, live_worker: LiveWorker, can_download: bool | None
) -> None:
    if can_download:
        live_worker("demo", can_download=True)

    names = client.get("/models").get_json()["models"]

    assert {"demo", "large-v3", "turbo", "tiny.en"} <= set(names)


def test_every_model_listed_is_accepted(
    client: FlaskClient, live_worker: LiveWorker, speech: bytes
) -> None:
    live_worker("demo", "large-v3-turbo")

    names = client.get("/models").get_json()["models"]

    statuses = [
        client.post(f"/transcribe/binary?model={name}", data=speech).status_code for name in names
    ]
    assert names == ["demo", "large-v3-turbo", "turbo"]
    assert statuses == [202] * len(names)


def read(client: FlaskClient, path: str) -> str:
    """The text of a file of the page."""
    with client.get(path) as response:
        assert response.status_code == 200
        return response.get_data(as_text=True)


def test_the_page_is_html_that_no_other_site_may_frame(client: FlaskClient) -> None:
    with client.get("/", headers={"Accept": "text/html,*/*;q=0.8"}) as response:
        pass

    assert response.content_type == "text/html; charset=utf-8"
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"


@pytest.mark.promise("C-04")
def test_a_program_that_asks_for_json_gets_the_list_of_routes(client: FlaskClient) -> None:
    value = client.get("/", headers={"Accept": "application/json"}).get_json()

    assert value["service"] == "longhand"
    assert "POST /transcribe/file" in value["routes"]


def test_all_that_the_page_loads_is_ours_and_there(client: FlaskClient) -> None:
    page = read(client, "/")

    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert loaded == ["/web/page.css", "/web/page.js"]
    assert all(read(client, path) for path in loaded)
    assert not re.search(r"<script>|<style>|style=|onclick=", page), "the page's policy forbids it"


def test_the_page_offers_every_option_it_names_by_its_right_name(client: FlaskClient) -> None:
    names = set(re.findall(r'name="(\w+)"', read(client, "/")))

    assert names - {"viewport"} == {"file", "model", "language", "task", "chinese", "diarize"}


def test_the_page_never_writes_html_of_a_callers_making(client: FlaskClient) -> None:
    script = read(client, "/web/page.js")

    assert "innerHTML" not in script and "insertAdjacentHTML" not in script


def test_a_reload_is_a_new_generation_for_every_worker(
    client: FlaskClient, services: Services
) -> None:
    answers = [client.post("/reload"), client.post("/reload", json={})]

    first, second = (answer.get_json() for answer in answers)
    assert [answer.status_code for answer in answers] == [200, 200]
    assert first == {"success": True, "generation": first["generation"]}
    assert second["generation"] > first["generation"] > 0
    assert Generations(services.redis).current() == second["generation"]


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"json": {"model": "large"}}, "'model' is not known"),
        ({"json": ["large"]}, "JSON object"),
        ({"data": b"large"}, "JSON object"),
        ({"query_string": "model=x"}, "no query"),
        ({"json": {"model_name": ""}}, "model_name"),
    ],
)
def test_a_reload_that_is_not_understood_changes_nothing(
    client: FlaskClient, services: Services, sent: dict[str, object], says: str
) -> None:
    answer = client.post("/reload", **sent)  # type: ignore[arg-type]

    assert_error(answer, 400, "invalid_request", says)
    assert Generations(services.redis).current() == 0


def test_a_reload_without_redis_may_be_asked_for_again(
    make_client: Callable[..., FlaskClient],
) -> None:
    answer = make_client(redis_url="redis://127.0.0.1:1/0").post("/reload")

    assert_error(answer, 503, "busy", "try again")
