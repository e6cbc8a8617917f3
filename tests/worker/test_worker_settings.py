"""A worker's settings that have to fit together."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from shared.settings import describe_problems
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
