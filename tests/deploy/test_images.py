"""The two images: what is in them, what is not, and whom they run as."""

from __future__ import annotations

import json
from typing import Any

import pytest
from commands import DOCKER, output, run
from deployment import SETTINGS, Deployment

pytestmark = pytest.mark.deploy

both = pytest.mark.parametrize("service", ["gateway", "worker"])
NO_MODELS = {"torch", "numpy", "ctranslate2", "faster_whisper", "onnxruntime", "whisper"}


def inspected(image: str) -> dict[str, Any]:
    """All that Docker knows of an image."""
    return dict(json.loads(output(DOCKER, "image", "inspect", image))[0])


def in_image(image: str, program: str) -> str:
    """What Python code prints in a fresh container without a network."""
    return output(DOCKER, "run", "--rm", "--network", "none", image, "python", "-c", program)


@both
def test_an_image_runs_as_a_user_who_is_not_root(images: dict[str, str], service: str) -> None:
    config = inspected(images[service])["Config"]

    assert config["User"] == "10001:10001"
    assert in_image(images[service], "import os; print(os.getuid(), os.getgroups())") in (
        "10001 [10001]",
        "10001 []",
    )


@both
def test_an_image_says_what_it_is_and_how_it_feels(images: dict[str, str], service: str) -> None:
    config = inspected(images[service])["Config"]

    labels = {name.rpartition(".")[2]: value for name, value in config["Labels"].items()}
    assert labels["title"] == f"Longhand {service}"
    assert labels["version"] == "0.1.0"
    assert labels["licenses"] == "MIT"
    assert config["Healthcheck"]["Test"][:2] == ["CMD", "python"]


def test_the_gateways_image_has_no_model_library(images: dict[str, str]) -> None:
    program = "import importlib.util as u, sys; print(*[n for n in sys.argv[1:] if u.find_spec(n)])"
    command = ("python", "-c", program, *sorted(NO_MODELS), "flask", "worker")
    found = output(DOCKER, "run", "--rm", "--network", "none", images["gateway"], *command)

    assert found == "flask"


def test_the_workers_image_lists_the_models_it_holds(images: dict[str, str]) -> None:
    command = ("longhand", "models")
    found = output(DOCKER, "run", "--rm", "--network", "none", images["worker"], *command)

    assert found.splitlines()[1].split()[0] == "demo"


def test_the_gateways_image_is_less_than_200_mb_over_its_base(
    images: dict[str, str], source: Any
) -> None:
    text = (source / "deploy" / "docker" / "gateway.Dockerfile").read_text()
    base = text.partition("ARG PYTHON_IMAGE=")[2].split()[0]

    assert inspected(images["gateway"])["Size"] - inspected(base)["Size"] < 200_000_000


def test_the_workers_image_for_cpus_has_no_cuda_libraries(images: dict[str, str]) -> None:
    program = (
        "import importlib.util as u; print(u.find_spec('nvidia'), u.find_spec('numpy') != None)"
    )

    assert in_image(images["worker"], program) == "None True"


def test_the_workers_image_brings_the_demo_model(images: dict[str, str]) -> None:
    program = (
        "from pathlib import Path; from worker.models.store import ModelStore as S; "
        "print(S(Path('/nowhere')).locate('model', 'demo'))"
    )

    assert in_image(images["worker"], program) == "/app/models/demo"


@both
def test_neither_history_nor_files_of_an_image_hold_a_secret(
    images: dict[str, str], deployment: Deployment, service: str
) -> None:
    secrets = {deployment.redis_password, deployment.password, SETTINGS["HF_TOKEN"]}
    image = images[service]
    history = output(DOCKER, "history", "--no-trunc", "--format", "{{json .}}", image)
    told = history + json.dumps(inspected(image))
    listed = output(
        DOCKER, "run", "--rm", "--network", "none", image, "find", "/app", "-type", "f"
    ).splitlines()  # fmt: skip

    assert [secret for secret in secrets if secret in told] == []
    assert "PASSWORD" not in told
    assert {path.split("/")[2] for path in listed} == {
        "gateway": {"gateway", "pyproject.toml", "shared"},  # it names the version
        "worker": {"cli", "longhand", "models", "shared", "worker"},
    }[service]


def test_a_build_with_an_unknown_extra_fails(bases: None, deployment: Deployment) -> None:
    refused = deployment.compose(
        "build", "worker", env={"LONGHAND_WORKER_EXTRAS": "wroker"}, check=False
    )

    assert refused.returncode != 0
    assert "wroker" in refused.stderr + refused.stdout


def test_what_only_a_checkout_holds_never_reaches_the_builder(
    bases: None, deployment: Deployment
) -> None:
    """`.dockerignore` names what may go: `.env` and users are not among it."""
    dockerfile = deployment.directory / "everything.Dockerfile"
    dockerfile.write_text("FROM python:3.11-slim-bookworm\nCOPY . /all\n")
    override = deployment.directory / "everything.yaml"
    override.write_text(
        "services:\n  all:\n    image: longhand-all:test\n"
        "    build: {context: ., dockerfile: everything.Dockerfile}\n"
    )
    run(DOCKER, "compose", "--file", "everything.yaml", "build", "--quiet",
        cwd=deployment.directory)  # fmt: skip

    there = in_image("longhand-all:test", "import os; print(*sorted(os.listdir('/all')))")

    run(DOCKER, "image", "rm", "longhand-all:test")
    assert there.split() == [
        "cli", "constraints.txt", "gateway", "longhand", "models", "pyproject.toml", "shared",
        "worker",
    ]  # fmt: skip
