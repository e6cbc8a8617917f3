"""Real audio through a real gateway, Redis and workers with the real demo model."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from spoken import Clip, transcribe_here, written

from models.training.demo_model.scores import GATE, Errors
from worker.processes.local import LocalModels

pytestmark = pytest.mark.main_job

N_CLIPS = 20
SEED = 20


def test_twenty_clips_through_two_workers_are_transcribed_as_in_process(
    open_site: Callable[..., Any],
    models: LocalModels,
    clips: Callable[[int, int], list[Clip]],
) -> None:
    site = open_site(n_workers=2, env={"LONGHAND_SLOTS": "3"})
    drawn = clips(N_CLIPS, SEED)

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda clip: site.upload(clip.path), drawn))
    found = [site.transcript(job_id) for job_id in ids]

    expected = [transcribe_here(models, clip.path) for clip in drawn]
    assert [t.text for t in found] == [t.text for t in expected]
    assert [written(t) for t in found] == [written(t) for t in expected]
    pooled = {"en": Errors(), "zh": Errors()}
    for clip, transcript in zip(drawn, found, strict=True):
        pooled[clip.language].add(clip.text, transcript.text, clip.language)
    for language, errors in pooled.items():
        assert errors.rate <= GATE[language], (language, errors)
    workers = site.workers()
    assert {site.job(job_id).worker for job_id in ids} == {worker.name for worker in workers}
    assert len(workers) == 2
    assert [worker.n_model_loads for worker in workers] == [1, 1]


def test_a_job_submitted_while_no_worker_lives_waits_for_one(
    open_site: Callable[..., Any],
    models: LocalModels,
    clips: Callable[[int, int], list[Clip]],
) -> None:
    site = open_site(n_workers=0)
    [clip] = clips(1, 3)

    job_id = site.upload(clip.path)
    before = site.job(job_id).status
    health = site.http.get("/health").json()
    ready = site.http.get("/health/ready", params={"workers": "1"}).status_code
    site.stack.start_worker()

    assert before == "queued"
    assert health["workers"] == 0
    assert ready == 503
    assert site.transcript(job_id).text == transcribe_here(models, clip.path).text
