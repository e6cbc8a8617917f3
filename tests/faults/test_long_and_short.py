"""A short clip beside a long job: it does not wait for the long one's end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spoken import draw_long_clip, transcribe_here
from waiting import wait_until

from shared.request import TranscriptionRequest
from worker.processes.local import LocalModels

pytestmark = [pytest.mark.faults, pytest.mark.main_job]

LENGTH_S = 1500
WORK_S = 20


def test_a_clip_sent_while_a_long_job_has_far_to_go_is_done_first_and_shares_batches(
    open_site: Callable[..., Any], models: LocalModels, tmp_path: Path
) -> None:
    site = open_site()
    long_clip = draw_long_clip(tmp_path, seed=411, length_s=LENGTH_S)
    clip = draw_long_clip(tmp_path, seed=412, length_s=5)
    long_id = site.upload(long_clip.path, beam_size="10")
    wait_until(lambda: (site.job(long_id).eta_s or 0) >= WORK_S, 300, "much of the work is left")

    at_submission = site.job(long_id)
    ids = [site.upload(clip.path) for _ in range(3)]
    records = [site.wait(job_id) for job_id in ids]
    meanwhile = site.job(long_id)
    mixed = wait_until(lambda: site.workers()[0].n_mixed_batches, 30, "the worker tells")
    site.http.delete(f"/jobs/{long_id}")

    assert at_submission.status == "running" and at_submission.eta_s >= WORK_S
    assert meanwhile.status == "running" and meanwhile.progress < 1
    assert [record.status for record in records] == ["succeeded"] * 3
    assert mixed >= 1
    expected = transcribe_here(models, clip.path, TranscriptionRequest(chinese="none")).text
    assert [site.transcript(job_id).text for job_id in ids] == [expected] * 3
