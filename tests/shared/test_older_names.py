"""Variables of the older systems: read, and said to be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from source_code import ROOT

READ = {
    ("gateway", "HTTP_PORT", "8080"): ("port", "8080", "LONGHAND_PORT"),
    ("gateway", "PORT_WHISPERLIVE", "5050"): (
        "whisperlive_port", "5050", "LONGHAND_WHISPERLIVE_PORT",
    ),
    ("gateway", "WHISPER__MODEL", "Systran/faster-whisper-small"): (
        "default_model", "Systran/faster-whisper-small", "LONGHAND_DEFAULT_MODEL",
    ),
    ("worker", "FASTERWHISPER_MODEL", "medium"): (
        "default_model", "medium", "LONGHAND_DEFAULT_MODEL",
    ),
    ("worker", "WHISPER__INFERENCE_DEVICE", "cpu"): ("device", "cpu", "LONGHAND_DEVICE"),
    ("worker", "OMP_NUM_THREADS", "3"): ("engine_threads", "3", "LONGHAND_ENGINE_THREADS"),
}  # fmt: skip

PROGRAM = """\
import sys
from {package}.settings import {name}Settings as Settings
from shared.settings import describe_older
others = {{}}
if "{package}" == "gateway":
    from gateway.settings import OTHER_VARIABLES as others
print(getattr(Settings(), sys.argv[1]))
print(*describe_older(Settings, others=others), sep="\\n")
"""


def ask(package: str, field: str, env: dict[str, str], folder: Path) -> list[str]:
    """A setting and what is said of the variables, in a process with this environment alone."""
    program = PROGRAM.format(package=package, name=package.capitalize())
    told = subprocess.check_output(
        [sys.executable, "-c", program, field],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "HOME": str(folder), **env},
        text=True,
    )
    return told.strip().splitlines()


@pytest.mark.promise("S0-02", "S0-03", "S0-04", "S0-05", "S3-05")
@pytest.mark.parametrize(("given", "wanted"), READ.items(), ids=lambda item: item[1])
def test_an_older_name_is_read_and_ours_is_named(
    tmp_path: Path, given: tuple[str, str, str], wanted: tuple[str, str, str]
) -> None:
    package, name, value = given
    field, read, ours = wanted

    told = ask(package, field, {name: value}, tmp_path)

    assert told == [read, f"{name} is read as {ours}, which is its name here"]


def test_ours_goes_before(tmp_path: Path) -> None:
    env = {"LONGHAND_PORT": "9000", "HTTP_PORT": "8080"}

    told = ask("gateway", "port", env, tmp_path)

    assert told == ["9000", "HTTP_PORT is passed over, since LONGHAND_PORT is set"]


@pytest.mark.promise("S4-03")
def test_a_variable_without_use_says_what_to_do_instead(tmp_path: Path) -> None:
    told = ask("gateway", "port", {"BACKEND_URL": "http://192.0.2.1:8799"}, tmp_path)

    assert told[0] == "8499"
    assert told[1].startswith("BACKEND_URL has no use here: workers fetch their jobs from Redis")


@pytest.mark.parametrize(
    ("name", "value", "default"),
    [("FASTERWHISPER_MODEL", "/models/mine", "small"), ("OMP_NUM_THREADS", "4,2", "0")],
)
def test_a_value_that_means_nothing_here_is_said_to(
    tmp_path: Path, name: str, value: str, default: str
) -> None:
    field = {"small": "default_model", "0": "engine_threads"}[default]

    told = ask("worker", field, {name: value}, tmp_path)

    assert told[0] == default
    assert told[1].startswith(f"{name} is {value!r}, which LONGHAND_")
