"""What a worker tells of the diarization models that it can run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from spoken import draw_long_clip

from shared.settings import CHECKOUT
from worker.diarization.usable import UsableDiarizers, usable_diarizers
from worker.models.fetching import Fetching
from worker.models.store import ModelStore

LIGHT = "diarization"
COMMUNITY, OLDER = "pyannote/speaker-diarization-community-1", "pyannote/speaker-diarization-3.1"
DEMO = "demo-diarization"

Look = Callable[..., UsableDiarizers]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """A function that looks what can be run with some ways to fetch it."""

    def find(
        site_default: str = COMMUNITY, *, has_library: bool = True, **fetching: Any
    ) -> UsableDiarizers:
        store = ModelStore(tmp_path, Fetching(**fetching))
        return usable_diarizers(store, site_default, has_library=has_library)

    return find


def test_what_is_here_can_be_run(look: Look, tmp_path: Path) -> None:
    shutil.copytree(CHECKOUT / "models" / DEMO, tmp_path / "house-voices")

    assert look().names == (DEMO, "house-voices")


def test_what_may_be_fetched_can_be_run(look: Look) -> None:
    assert set(look(is_allowed=True, token="hf_x").names) == {LIGHT, COMMUNITY, OLDER, DEMO}
    assert set(look(is_allowed=True, mirror="/srv/models").names) == {LIGHT, COMMUNITY, OLDER, DEMO}


def test_a_sites_own_may_come_from_its_mirror(look: Look) -> None:
    assert "house-voices" in look("house-voices", is_allowed=True, mirror="/srv/models").names
    assert "house-voices" in look("house-voices", is_allowed=True, token="hf_x").problems


def test_without_a_token_the_pages_to_accept_are_named(look: Look) -> None:
    found = look(is_allowed=True)

    assert found.names == (LIGHT, DEMO)
    for page in (OLDER, "pyannote/segmentation-3.0"):
        assert f"https://huggingface.co/{page}" in found.problems[OLDER]
    assert "LONGHAND_HF_TOKEN" in found.problems[COMMUNITY]


def test_where_nothing_may_be_fetched_that_is_said(look: Look) -> None:
    found = look(token="hf_x")

    assert found.names == (DEMO,)
    assert "LONGHAND_DOWNLOADS is off" in found.problems[COMMUNITY]


def test_without_the_library_only_what_needs_none_can_be_run(look: Look) -> None:
    found = look(is_allowed=True, token="hf_x", has_library=False)

    assert found.names == (LIGHT,)
    assert "install the extra `diarization`" in found.problems[DEMO]
    assert "install the extra `diarization`" in found.problems[COMMUNITY]


@pytest.mark.parametrize(
    ("config", "problem"),
    [("name: something else\n", "not a pipeline of"), ("a: [\n", "cannot be read")],
)
def test_a_folder_of_something_else_is_no_diarizer(
    look: Look, tmp_path: Path, config: str, problem: str
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.yaml").write_text(config)

    found = look()

    assert "other" not in found.names
    assert problem in found.problems["other"]


@pytest.mark.main_job
@pytest.mark.skipif(find_spec("pyannote") is None, reason="pyannote.audio is not installed")
def test_a_site_refuses_at_once_what_its_workers_cannot_run(
    open_site: Callable[..., Any], tmp_path: Path
) -> None:
    site = open_site(env={"LONGHAND_DIARIZATION_MODEL": "house-voices"})
    clip = draw_long_clip(tmp_path, seed=506, length_s=8)

    def send(**fields: str) -> Any:
        with clip.path.open("rb") as file:
            return site.http.post("/transcribe/file", files={"file": file}, data=fields)

    [worker] = site.workers()
    wrong = send(diarize="true", diarize_model="nobodys-voices")
    site_own = send(diarize="true", diarize_model="house-voices")

    assert worker.diarization_model == "house-voices"
    assert DEMO in worker.diarizers
    assert (wrong.status_code, wrong.json()["param"]) == (404, "diarize_model")
    assert site_own.status_code == 404
    assert "'house-voices'" in site_own.json()["error"]
    transcript = site.transcript(site.upload(clip.path, diarize="true"))  # the model's own
    assert transcript.turns
