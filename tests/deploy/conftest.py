"""A real Docker daemon, our images, and a site of them: `make test-deploy` brings the daemon."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from commands import DOCKER, output, run  # noqa: E402
from deployment import PROJECT, SETTINGS, Deployment, copy_checkout  # noqa: E402
from needs import missing  # noqa: E402
from spoken import local_models, transcribe_here  # noqa: E402
from stand_ins import provide_bases  # noqa: E402

from cli.redis_server import free_port  # noqa: E402
from shared.settings import CHECKOUT  # noqa: E402

CURE = "run `make test-deploy`, which brings a Docker of its own"
_asked: list[bool] = []
_stood_in: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `tools/test_deploy --breakages` needs, to deploy broken copies and not wait long."""
    parser.addoption("--checkout", type=Path, default=CHECKOUT, help="what is deployed")
    parser.addoption("--up-deadline", type=int, default=200, help="seconds to be up within")


def _lack(what: str) -> None:
    """Skip, or fail in CI, with why `make test-deploy` could not help, or that it could."""
    missing(f"{what}: {os.environ.get('NO_DOCKER') or CURE}")


@pytest.fixture(scope="session")
def compose_cli() -> None:
    """Compose v2, which reads files without a daemon."""
    _asked.append(True)
    if run(DOCKER, "compose", "version", check=False).returncode != 0:
        _lack("Docker Compose v2 is missing")


@pytest.fixture(scope="session")
def daemon(compose_cli: None) -> None:
    """A Docker daemon that may be used."""
    if os.environ.get("NO_DOCKER") or run(DOCKER, "info", check=False).returncode != 0:
        _lack("no Docker daemon answers")


@pytest.fixture(scope="session")
def sandbox(daemon: None) -> None:
    """A daemon in namespaces of its own, where networks may be added."""
    if "DOCKER_SANDBOX" not in os.environ:
        pytest.skip("this is somebody's own Docker; CI=true .ci/run tests it in a sandbox")


@pytest.fixture(scope="session")
def source(request: pytest.FixtureRequest) -> Path:
    """The checkout that is deployed."""
    path: Path = request.config.getoption("--checkout")
    if not (path / "models" / "demo" / "model.bin").is_file():
        missing(f"no model in {path}/models/demo: it comes with the repository")
    return path


@pytest.fixture(scope="session")
def bases(daemon: None, source: Path) -> None:
    """The base images that our Dockerfiles and compose files name."""
    named = [
        re.search(r"^ARG PYTHON_IMAGE=(\S+)", path.read_text(), re.MULTILINE)
        for path in sorted((source / "deploy" / "docker").glob("*.Dockerfile"))
    ]
    composed = re.findall(r"image: \$\{\w+_IMAGE:-([^}]+)\}", (source / "compose.yaml").read_text())
    images = {found[1] for found in named if found} | set(composed)
    if "DOCKER_SANDBOX" in os.environ:
        _stood_in.extend(provide_bases(sorted(images)))


@pytest.fixture(scope="session")
def deployment(
    compose_cli: None,
    source: Path,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Deployment:
    """A copy of the checkout that is set up; nothing is built, nothing runs."""
    directory = tmp_path_factory.mktemp("deployment")
    copy_checkout(source, directory)
    up_deadline_s = request.config.getoption("--up-deadline")
    prepared = Deployment(directory, port=free_port(), up_deadline_s=up_deadline_s)
    prepared.set_up()
    return prepared


@pytest.fixture(scope="session")
def images(bases: None, deployment: Deployment) -> Iterator[dict[str, str]]:
    """Our two images, built: their names by service."""
    deployment.compose("build", "--quiet", "gateway", "worker")
    tag = SETTINGS["LONGHAND_TAG"]
    names = {service: f"longhand-{service}:{tag}" for service in ("gateway", "worker")}
    yield names
    run(DOCKER, "image", "rm", "--force", *names.values(), check=False)


@pytest.fixture(scope="session")
def site(images: dict[str, str], deployment: Deployment) -> Iterator[Deployment]:
    """A site that is up, with three workers."""
    try:
        deployment.up()
        yield deployment
    except BaseException:
        told = deployment.compose("logs", "--tail", "25", check=False)
        sys.stderr.write(told.stdout + told.stderr)
        raise
    finally:
        deployment.close()
        deployment.compose("down", "--volumes", "--timeout", "2", check=False)


@pytest.fixture(scope="session")
def hear(source: Path) -> Callable[[Path], str]:
    """A function that gives what our pipeline makes of a file in this very process."""
    models = local_models()
    return lambda path: transcribe_here(models, path).text.strip()


@pytest.hookimpl(trylast=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Add what the containers said to the report of a test that failed."""
    deployed = getattr(item, "funcargs", {}).get("site")
    if call.when == "call" and call.excinfo is not None and isinstance(deployed, Deployment):
        told = deployed.compose("logs", "--tail", "30", "--no-color", check=False).stdout
        item.add_report_section("call", "containers", told)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what a green run does not prove, if any of these tests was meant to run."""
    if not _asked:
        return
    names = ", ".join(_stood_in) or "none"
    engine = "none"
    if run(DOCKER, "info", check=False).returncode == 0:
        engine = output(DOCKER, "version", "--format", "{{.Server.Version}}")
    terminalreporter.write_line("")
    terminalreporter.write_line(f"deployed as project {PROJECT} on Docker {engine}. NOT proved:")
    for line in (
        f"that true upstream images behave as their stand-ins of Debian packages do ({names}), "
        "and that their tags exist",
        "that a GPU is given to a worker: the reservation is accepted, none is injected",
        "that the CUDA image builds and runs: only the CPU worker is built",
        "other architectures than this one, and workers on a second machine",
        "a certificate from a real authority: nginx is given one it signed itself",
    ):
        terminalreporter.write_line(f"  - {line}")
