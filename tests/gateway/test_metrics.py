"""What Prometheus is told, as its own parser reads it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from work import fail, succeed, upload

from cli.redis_server import free_port
from gateway.access.keys import add_key
from gateway.services import Services
from shared.settings import CHECKOUT
from shared.workers import WorkerRecord

Sample = tuple[str, tuple[tuple[str, str], ...]]


def scrape(client: FlaskClient) -> dict[Sample, float]:
    """Every sample by its name and labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def names(samples: Iterable[Sample]) -> set[str]:
    """The names that queries may use."""
    return {name for name, _ in samples}


def test_requests_are_counted_by_rule_never_by_path(client: FlaskClient) -> None:
    for job_id in ("a" * 32, "b" * 32):
        client.get(f"/jobs/{job_id}")
    client.get("/secret/path")
    client.open("/health", method="BREW")
    found = scrape(client)

    assert {key: n for key, n in found.items() if key[0] == "longhand_requests_total"} == {
        (
            "longhand_requests_total",
            (("method", method), ("route", route), ("status", status)),
        ): n
        for method, route, status, n in [
            ("GET", "/jobs/<job_id>", "404", 2.0),
            ("GET", "unmatched", "404", 1.0),
            ("other", "unmatched", "405", 1.0),
        ]
    }
    by_route = ("longhand_request_duration_seconds_count", (("route", "/jobs/<job_id>"),))
    assert found[by_route] == 2


def test_jobs_are_counted_as_they_stand_and_as_they_ended(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    ids = [
        upload(client, speech, label=str(n), cache="false").get_json()["job_id"] for n in range(4)
    ]
    ids.append(
        upload(client, speech, label="5", priority="low", cache="false").get_json()["job_id"]
    )
    succeed(services, ids[0])
    fail(services, ids[1], {"code": "engine_failed", "message": "it broke"})
    assert services.jobs.runs.claim(ids[2], 1, "w1")
    told = {"stages_s": json.dumps({"decode": 0.5, "transcribe": 1.25})}
    assert services.jobs.runs.report(ids[2], 1, told)
    assert services.jobs.runs.fail(ids[2], 1, {"code": "engine_failed", "message": "it broke"})
    found = scrape(client)

    def one(name: str, **labels: str) -> float:
        return found[name, tuple(sorted(labels.items()))]

    assert (one("longhand_jobs", status="queued"), one("longhand_jobs", status="running")) == (2, 0)
    assert one("longhand_queue_depth", priority="normal") == 1
    assert one("longhand_queue_depth", priority="low") == 1
    assert one("longhand_queue_depth", priority="high") == 0
    assert 0 < one("longhand_queue_head_age_seconds") < 60
    assert one("longhand_jobs_total", status="succeeded") == 1
    assert one("longhand_jobs_total", status="failed") == 2
    assert one("longhand_jobs_total", status="cancelled") == 0
    assert one("longhand_stage_seconds_total", stage="transcribe") == 1.25
    assert one("longhand_stage_jobs_total", stage="decode") == 1
    assert one("longhand_audio_seconds_total") == pytest.approx(0.5)
    assert one("longhand_work_seconds_total") > 0
    assert one("longhand_redis_up") == 1


def test_a_queue_that_is_empty_has_no_age(client: FlaskClient) -> None:
    assert scrape(client)["longhand_queue_head_age_seconds", ()] == 0


def test_what_is_counted_elsewhere_is_told(client: FlaskClient, services: Services) -> None:
    services.redis.hset("longhand:totals", "cache_hits", 3)
    services.redis.hset("longhand:totals", "webhooks:delivered", 2)
    found = scrape(client)

    assert found["longhand_cache_hits_total", ()] == 3
    assert found["longhand_webhooks_total", (("result", "delivered"),)] == 2
    # Told before there is one: the first of a series that appears is no increase to Prometheus.
    assert found["longhand_webhooks_total", (("result", "given_up"),)] == 0


def publish_worker(services: Services) -> None:
    """Let a worker with a GPU be heard of."""
    services.workers.publish(
        WorkerRecord(
            name="w1",
            host="gpu-1",
            pid=1,
            engine="faster_whisper",
            device="cuda",
            compute_type="float16",
            models=("demo",),
            batch_size=4,
            n_batches=10,
            n_chunks=30,
            gpu_memory_used_bytes=3_000_000_000,
            gpu_memory_total_bytes=8_000_000_000,
            slots=8,
            n_running=2,
            live_sessions=6,
            n_live=2,
            live_lag_s=0.4,
            live_totals={"sessions": 5, "calls": 40, "steps": 50, "audio_s": 20.5},
            started_at=time.time(),
        )
    )


def test_workers_are_told_as_they_publish_themselves(
    client: FlaskClient, services: Services, live_worker: Callable[..., None]
) -> None:
    publish_worker(services)
    live_worker("demo", name="w2")
    found = scrape(client)

    gpu = ("device", "cuda")
    assert found["longhand_workers", ()] == 2
    assert found["longhand_worker_slots", (("worker", "w1"),)] == 8
    assert found["longhand_worker_jobs", (("worker", "w1"),)] == 2
    assert found["longhand_worker_live_slots", (("worker", "w1"),)] == 6
    assert found["longhand_worker_live_sessions", (("worker", "w1"),)] == 2
    assert client.get("/health").json["live_sessions_free"] == 4
    live = {name: found[f"longhand_worker_live_{name}", (("worker", "w1"),)] for name in (
        "lag_seconds", "sessions_begun_total", "calls_total", "steps_total", "audio_seconds_total"
    )}  # fmt: skip
    assert list(live.values()) == [0.4, 5, 40, 50, 20.5]
    assert found["longhand_batch_fill_ratio", (("worker", "w1"),)] == 0.75
    assert {key[1]: n for key, n in found.items() if key[0] == "longhand_gpu_memory_bytes"} == {
        (gpu, ("kind", "used"), ("worker", "w1")): 3e9,
        (gpu, ("kind", "total"), ("worker", "w1")): 8e9,
    }
    assert ("longhand_batch_fill_ratio", (("worker", "w2"),)) not in found


def test_the_slots_of_waiting_requests_are_told(client: FlaskClient, services: Services) -> None:
    with services.waiting.hold(), services.waiting.hold():
        held = scrape(client)
    after = scrape(client)

    assert held["longhand_waiting_slots_used", ()] == 2
    assert after["longhand_waiting_slots_used", ()] == 0
    assert after["longhand_waiting_slots", ()] == services.settings.waiting_slots


def test_metrics_are_for_admins(make_client: Callable[..., FlaskClient], tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    tokens = [add_key(keys, "ann", role="admin"), add_key(keys, "bob", role="user"), "0" * 32]
    client = make_client(auth="keys", api_keys_file=keys)
    statuses = [
        client.get("/metrics", headers={"Authorization": f"Bearer {token}"}).status_code
        for token in tokens
    ]

    assert statuses == [200, 403, 401]


def test_without_redis_the_rest_is_told(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(redis_url=f"redis://127.0.0.1:{free_port()}/0")
    client.get("/health/live")
    found = scrape(client)

    assert found["longhand_redis_up", ()] == 0
    assert "longhand_requests_total" in names(found)
    assert "longhand_jobs" not in names(found)


@pytest.fixture
def full(client: FlaskClient, services: Services) -> dict[Sample, float]:
    """A scrape that holds every metric there is."""
    publish_worker(services)
    for field in ("webhooks:delivered", "stage_s:decode", "stage_n:decode"):
        services.redis.hset("longhand:totals", field, 1)
    client.get("/health")
    return scrape(client)


def test_every_metric_is_documented_as_it_is(client: FlaskClient, full: object) -> None:
    page = (CHECKOUT / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_]+)` \| (\w+) \|([^|]*)\|", page, re.MULTILINE)
    documented = {
        (name, kind): set(re.findall("`([a-z_]+)`", labels)) for name, kind, labels in rows
    }
    told = {}
    text = client.get("/metrics").text
    for name, kind in re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE):
        labels = re.findall(rf"^{name}(?:_bucket)?(?:{{(.*)}})? \S+$", text, re.MULTILINE)
        told[name, kind] = set(re.findall(r"(\w+)=", ",".join(labels))) - {"le"}

    assert documented == told
    assert len(rows) == len(documented)


def test_every_query_of_the_dashboard_uses_metrics_that_are_told(
    full: dict[Sample, float],
) -> None:
    dashboard = json.loads((CHECKOUT / "deploy/grafana/longhand.json").read_text(encoding="utf-8"))
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    used = {name for query in queries for name in re.findall(r"\b(?:longhand|process)_\w+", query)}

    assert len(queries) >= len(panels) > 10
    assert used - names(full) == set()
    assert names(full) - used <= {
        name
        for name in names(full)
        if name.startswith("process_") or name.endswith(("_sum", "_count"))
    } | {"longhand_gateway_info", "longhand_worker_info", "longhand_stage_jobs_total"}


def test_prometheus_is_told_where_and_with_which_key() -> None:
    text = (CHECKOUT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8")

    assert "metrics_path: /metrics" in text
    assert "credentials_file:" in text
