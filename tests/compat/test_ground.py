"""What the suite stands on: a site that waits by itself, and clients installed apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from environments import run_script
from sites import Site
from spoken import Clip


@pytest.mark.parametrize(
    ("name", "package"),
    [("openai-1", "openai"), ("openai-2", "openai"), ("openai-3", "openai"), ("tus", "tusclient")],
)
def test_a_client_is_installed_without_longhand(
    environment: Callable[[str], Path], tmp_path: Path, name: str, package: str
) -> None:
    program = f"import {package}, importlib.util as u; print(u.find_spec('pydantic_settings'))"

    assert run_script(environment(name), program, cwd=tmp_path) == "None\n"


def test_a_caller_who_says_nothing_of_waiting_reads_the_words(
    compat_site: Site, clip: Clip, words: str
) -> None:
    with clip.path.open("rb") as file:
        answer = compat_site.http.post("/transcribe/file", files={"file": file})

    assert (answer.status_code, answer.json()["text"]) == (200, words)
