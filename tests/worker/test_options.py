"""Every documented option reaches the engine and changes what comes out, over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sites import Site
from spoken import Clip, draw_long_clip, transcribe_here
from waiting import wait_until

from shared.request import TranscriptionRequest
from worker.processes.local import LocalModels
from worker.settings import WorkerSettings

pytestmark = pytest.mark.main_job


def result(site: Site, clip: Clip, **fields: str) -> dict[str, Any]:
    """Upload a clip and wait for the answer."""
    with clip.path.open("rb") as file:
        answer = site.http.post(
            "/transcribe/file",
            files={"file": file},
            data={"timestamps": "true", "wait": "50", **fields},
        )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_each_option_changes_the_result_as_documented(
    usual_site: Site,
    models: LocalModels,
    clips: Callable[[int, int], list[Clip]],
) -> None:
    site = usual_site
    drawn = clips(12, 61)
    clip = next(c for c in drawn if c.language == "en")

    plain = result(site, clip)
    here = transcribe_here(models, clip.path)
    assert plain["text"] == here.text
    assert plain["info"]["language"] == "en"
    assert [s["text"] for s in plain["segments"]] == [s.text for s in here.segments]
    assert "words" not in plain["segments"][0]

    assert "segments" not in result(site, clip, timestamps="false")

    worded = result(site, clip, word_timestamps="true")["segments"][0]["words"]
    expected = transcribe_here(models, clip.path, TranscriptionRequest(word_timestamps=True))
    assert [(w["word"], w["start"], w["end"]) for w in worded] == [
        (w.word, w.start, w.end) for w in expected.segments[0].words or ()
    ]

    forced = result(site, clip, language="Chinese")
    assert forced["info"]["language"] == "zh"
    assert forced["info"]["language_probability"] == 1
    assert forced["segments"][0]["avg_logprob"] != plain["segments"][0]["avg_logprob"]

    prompted = result(site, clip, prompt="The number is one two three.")
    assert prompted["segments"][0]["no_speech_prob"] != plain["segments"][0]["no_speech_prob"]

    hot = result(site, clip, temperature="1.0")
    assert hot["segments"][0]["temperature"] == 1.0

    aliased = result(site, clip, model="house")
    assert aliased["model"] == "demo"
    assert aliased["text"] == plain["text"]

    refused = site.http.post(
        "/transcribe/file", files={"file": b"x"}, data={"task": "translate"}
    ).json()
    assert refused["code"] == "invalid_request"
    assert refused["param"] == "task"


@pytest.mark.speech
def test_the_other_engine_serves_the_same_clips(
    open_site: Callable[..., Any],
    demo_model: object,
    clips: Callable[[int, int], list[Clip]],
) -> None:
    site = open_site(env={"LONGHAND_ENGINE": "openai_whisper"})
    drawn = clips(4, 62)
    settings = WorkerSettings(
        engine="openai_whisper", default_model="demo", downloads=False, device="cpu"
    )
    models = LocalModels(settings)

    texts = [result(site, clip)["text"] for clip in drawn]

    assert texts == [transcribe_here(models, clip.path).text for clip in drawn]
    assert site.workers()[0].engine == "openai_whisper"


def test_a_running_job_tells_its_stage_and_how_far_it_is(usual_site: Site, tmp_path: Path) -> None:
    site = usual_site
    clip = draw_long_clip(tmp_path, seed=63, length_s=90)
    job_id = site.upload(clip.path)
    seen: list[tuple[str, float]] = []

    def ended() -> dict[str, Any] | None:
        job: dict[str, Any] = site.http.get(f"/jobs/{job_id}").json()
        if job["status"] == "succeeded":
            return job
        assert job["status"] in ("queued", "running"), job
        if job.get("stage"):
            seen.append((job["stage"], job["progress"]))
        return None

    job = wait_until(ended, 240, "the job ends")

    fractions = [fraction for _, fraction in seen]
    assert fractions == sorted(fractions)
    assert "transcribe" in {stage for stage, _ in seen}
    assert any(0.1 < fraction < 1 for fraction in fractions)
    assert job["progress"] == 1
