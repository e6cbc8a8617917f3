"""What tests stand on: a real Redis, the demo model, a whole stack. Nothing is patched."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from examples import Examples
from leftovers import processes_of
from needs import missing
from promise_record import PromiseRecord
from redis import Redis
from redis.exceptions import RedisError

from cli.processes import Processes
from cli.redis_server import RedisNotFound, find_redis_server, free_port, write_redis_config
from cli.stack import Stack
from shared.settings import CHECKOUT
from worker.models.diarization_files import LIGHT, diarizer_files
from worker.models.fetching import NotFetched
from worker.models.store import ModelStore
from worker.settings import WorkerSettings, limit_threads

# Before anything imports torch: threads of several processes on few cores wait for each other.
limit_threads(1)

DEMO_MODEL = CHECKOUT / "models" / "demo"
REAL_MODELS = ("base", "tiny.en")

# A product of matrices depends on how many threads it is made by, and a text may.
ONE_THREAD = {"LONGHAND_ENGINE_THREADS": "1"}

# By the fixtures a test uses; those marked `main_job` use the first two by definition.
_MAIN_JOB = ("real Redis", "the real demo model")
_COUNTED = {
    "real Redis": {"redis_server", "start_stack", "start_stack_once", "served"},
    "the real demo model": {"demo_model"},
    "real weights": {"real_models"},
}


def pytest_configure(config: pytest.Config) -> None:
    """Keep the outcomes of tests that prove a promise; import what has examples, and no more."""
    config.pluginmanager.register(PromiseRecord())
    config.pluginmanager.register(Examples())


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> None:
    for name in [name for name in os.environ if name.startswith("LONGHAND_")]:
        del os.environ[name]
    os.environ |= ONE_THREAD


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A directory whose path is short enough for Unix sockets, unlike `tmp_path`'s."""
    with tempfile.TemporaryDirectory(prefix="longhand-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real redis-server for the whole run; its URL."""
    directory = tmp_path_factory.mktemp("redis")
    try:
        binary = find_redis_server()
    except RedisNotFound as error:
        missing(str(error))
    port = free_port()
    config = write_redis_config(directory, port=port, password="for-tests-only")
    url = f"redis://:for-tests-only@127.0.0.1:{port}/0"
    processes = Processes(directory / "logs")
    try:
        child = processes.start(
            "redis", [str(binary), str(config)], env=os.environ, directory=directory
        )
        with Redis.from_url(url) as redis:
            processes.wait_until(lambda: _answers(redis), needed=[child], deadline_s=20)
        yield url
    finally:
        processes.close()


def _answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except RedisError:
        return False


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The URL of a real and empty Redis."""
    with Redis.from_url(redis_server) as redis:
        redis.flushall()
    return redis_server


@pytest.fixture
def storage_dir(tmp_path: Path) -> Path:
    """An empty directory for storage."""
    path = tmp_path / "storage"
    path.mkdir()
    return path


@pytest.fixture(scope="session")
def demo_model() -> Path:
    """The folder of the model that ships with Longhand."""
    if not (DEMO_MODEL / "model.bin").is_file():
        missing(f"no model at {DEMO_MODEL}: it comes with the repository")
    return DEMO_MODEL


@pytest.fixture(scope="session")
def real_models() -> Path:
    """The folder that holds `REAL_MODELS`, real Whisper weights; fetched once for all checkouts."""
    settings = WorkerSettings(downloads=True)
    store = ModelStore.of(settings)
    for name in REAL_MODELS:
        try:
            store.pull(store.files_of("model", name))
        except NotFetched as error:
            missing(str(error))
    return settings.models_dir


@pytest.fixture(scope="session")
def real_diarizer() -> Path:
    """The folder of `diarization`: real weights, fetched once for all checkouts."""
    settings = WorkerSettings(downloads=True)
    try:
        return ModelStore.of(settings).pull(diarizer_files(LIGHT))
    except NotFetched as error:
        missing(str(error))


@pytest.fixture
def start_stack(request: pytest.FixtureRequest) -> Iterator[Callable[..., Stack]]:
    """
    A function that starts a whole stack, as `Stack(…)`, and returns it ready.

    Every stack is stopped when the test ends, and the test fails if a process is left.
    """
    yield from _stacks(request.node)


@pytest.fixture(scope="module")
def start_stack_once(request: pytest.FixtureRequest) -> Iterator[Callable[..., Stack]]:
    """The same for stacks that the tests of a file share; they are stopped after the last."""
    yield from _stacks(request.node)


def _stacks(node: pytest.Item | pytest.Collector) -> Iterator[Callable[..., Stack]]:
    directories: list[Path] = []
    with ExitStack() as stacks:

        def start(**options: Any) -> Stack:
            directory = Path(tempfile.mkdtemp(prefix="longhand-"))
            directories.append(directory)
            env = ONE_THREAD | options.pop("env", {})
            return stacks.enter_context(Stack(directory, env=env, **options))

        yield start
    left = [line for directory in directories for line in processes_of(directory)]
    for directory in directories:
        for log in sorted((directory / "logs").glob("*.log")):
            if isinstance(node, pytest.Item):
                text = log.read_text(errors="replace")[-4000:]
                node.add_report_section("teardown", log.name, text)
        shutil.rmtree(directory, ignore_errors=True)
    if left:
        pytest.fail("processes outlived their stack:\n" + "\n".join(left), pytrace=False)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    Note on every test which real things it uses, so that reports carry it.

    Files that take long begin: what is left at the end keeps every process busy.
    """
    for item in items:
        used = set(getattr(item, "fixturenames", ()))
        is_main_job = item.get_closest_marker("main_job") is not None
        for name, fixtures in _COUNTED.items():
            if (is_main_job and name in _MAIN_JOB) or used & fixtures:
                item.user_properties.append((name, True))
    # Only where several processes share the files: the other suites rely on the order of files,
    # since one brings up the site that the next one uses.
    if hasattr(config, "workerinput"):
        costs: dict[Path, int] = {}
        for item in items:
            costs[item.path] = max(costs.get(item.path, 0), _cost(item))
        items.sort(key=lambda item: -costs[item.path])


def _cost(item: pytest.Item) -> int:
    """2 of a test with whole programs, 1 of one with a model, 0 of others."""
    fixtures = set(getattr(item, "fixturenames", ()))
    if item.get_closest_marker("main_job") or fixtures & {"start_stack", "start_stack_once"}:
        return 2
    return int(bool(fixtures & {"demo_model", "real_models", "real_diarizer"}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests ran against real things."""
    ran = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if report.when == "call"
    ]
    for name in _COUNTED:
        n_tests = sum((name, True) in report.user_properties for report in ran)
        terminalreporter.write_line(f"{n_tests} of {len(ran)} tests ran with {name}")
