"""What an operator sees of a whole site: lines that name job and request, and metrics."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from spoken import Clip
from waiting import wait_until

pytestmark = pytest.mark.main_job


def test_a_request_is_followed_through_every_process_and_counted(
    open_site: Callable[..., Any], clips: Callable[[int, int], list[Clip]], tmp_path: Path
) -> None:
    file = tmp_path / "logs" / "app.log"
    env = {"LONGHAND_LOG_FORMAT": "json", "LONGHAND_LOG_FILE": str(file)}
    site = open_site(n_workers=1, env=env)
    [clip] = clips(1, 41)
    with clip.path.open("rb") as audio:
        answer = site.http.post(
            "/transcribe/file", files={"file": audio}, headers={"X-Request-Id": "order-66"}
        )
    job_id = answer.json()["job_id"]
    record = site.wait(job_id)
    wait_until(lambda: site.workers()[0].n_batches, 30, "the worker tells")

    def said(name: str) -> list[dict[str, Any]]:
        lines = site.stack.log_path(name).read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    wait_until(
        lambda: [line for line in said("worker-1") if line["message"] == "succeeded"], 20, "it says"
    )
    about = [line for line in said("worker-1") if line.get("job_id") == job_id]
    assert {line["request_id"] for line in about} == {"order-66"}
    assert [line["message"] for line in about][-1] == "succeeded"
    loaded = [line for line in said("worker-1") if line["logger"] == "worker.processes.cache"]
    assert loaded[0]["message"].startswith("model demo (")
    programs = ("gateway", "live", "worker-1")
    told = {name: {json.dumps(line) for line in said(name)} for name in programs}
    # Read after the others, the file may hold more by now.
    in_file = {
        json.dumps(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()
    }
    assert all(told.values())
    assert set.union(*told.values()) <= in_file

    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(site.http.get("/metrics").text)
        for sample in family.samples
    }
    [worker] = site.workers()
    assert found["longhand_jobs_total", "succeeded"] == 1
    assert found["longhand_audio_seconds_total",] == pytest.approx(record.audio.duration_s)
    for stage, seconds in record.stages_s.items():
        assert found["longhand_stage_seconds_total", stage] == pytest.approx(seconds)
    assert 0 < found["longhand_batch_fill_ratio", worker.name] <= 1
    assert found["longhand_requests_total", "POST", "/transcribe/file", "202"] == 1
