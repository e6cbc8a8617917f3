"""A worker's settings that have to fit together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from shared.settings import CHECKOUT, describe_problems
from worker.settings import WorkerSettings


@pytest.mark.parametrize(
    ("preload", "models"),
    [
        (True, ("small",)),
        ("true", ("small",)),
        ("1", ("small",)),
        (False, ()),
        ("FALSE", ()),
        ("", ()),
        ("tiny, turbo", ("tiny", "large-v3-turbo")),
        ("whisper-1,small", ("small",)),
        ("house,tiny", ("demo", "tiny")),
    ],
)
def test_preload_is_the_default_model_or_none_or_those_named(
    preload: object, models: tuple[str, ...]
) -> None:
    settings = WorkerSettings(preload=preload, model_aliases="house=demo")  # type: ignore[arg-type]

    assert settings.preloaded_models == models


def test_an_own_model_may_be_preloaded_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "medical").mkdir()

    settings = WorkerSettings(preload="medical,tiny", models_dir=tmp_path)

    assert settings.preloaded_models == ("medical", "tiny")


def default_models_dir(**variables: str) -> str:
    """Where a fresh process without a setting lets models land."""
    program = "from worker.settings import WorkerSettings; print(WorkerSettings().models_dir)"
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("HOME", "XDG_CACHE_HOME") and not name.startswith("LONGHAND_")
    }
    return subprocess.run(
        [sys.executable, "-c", program],
        env=inherited | variables,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_models_land_in_a_cache_outside_the_checkout(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")

    assert default_models_dir(HOME=str(tmp_path)) == f"{tmp_path}/.cache/longhand/models"
    assert default_models_dir(XDG_CACHE_HOME=f"{tmp_path}/x") == f"{tmp_path}/x/longhand/models"
    assert default_models_dir(HOME=str(tmp_path / "file")) == "data/models"
    assert WorkerSettings(models_dir=Path("~/models")).models_dir == Path.home() / "models"


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"preload": "small,gpt"}, "LONGHAND_PRELOAD names 'gpt', which is no model we know"),
        (
            {"preload": "tiny,base,small"},
            "LONGHAND_PRELOAD names 3 models; LONGHAND_RESIDENT_MODELS keeps 2 in memory",
        ),
        (
            {"engine": "openai_whisper", "compute_type": "int8"},
            "LONGHAND_COMPUTE_TYPE is 'int8'; openai_whisper on 'auto' computes in float32 or "
            "float16",
        ),
        (
            {"engine": "openai_whisper", "compute_type": "float16", "device": "cpu"},
            "LONGHAND_COMPUTE_TYPE is 'float16'; openai_whisper on 'cpu' computes in float32",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_in_the_operators_words(
    chosen: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        WorkerSettings(**chosen)  # type: ignore[arg-type]

    assert describe_problems(refused.value, WorkerSettings) == [sentence]


def test_a_number_format_that_nobody_knows_is_refused_by_name() -> None:
    with pytest.raises(ValidationError) as refused:
        WorkerSettings(compute_type="fp8")  # type: ignore[arg-type]

    [problem] = describe_problems(refused.value, WorkerSettings)
    assert problem.startswith("LONGHAND_COMPUTE_TYPE is 'fp8'; it must be")
    assert "int8_float16" in problem
