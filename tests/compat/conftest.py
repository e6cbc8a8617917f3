"""A whole site that other people's clients call over a socket, and those clients."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from random_whisper import add_tiny
from real_speech import CONVERSATION, TWO_TURNS_S, samples_of, write_wav
from sites import Site, models
from spoken import Clip, draw_long_clip, transcribe_here

from cli.stack import Stack
from gateway.access.keys import add_key
from shared.request import TranscriptionRequest
from shared.settings import CHECKOUT
from worker.processes.local import LocalModels

sys.path.insert(0, str(Path(__file__).parent))

from environments import Environments  # noqa: E402

__all__ = ["models"]

ALIASES = (
    "tiny.en", "base", "base.en", "medium", "large", "large-v2", "large-v3", "turbo",
    "Systran/faster-whisper-small",
)  # fmt: skip
"""Names that the older systems' examples ask for; all of them are the demo model here."""

TRANSLATES = "small=tiny"
"""The name in the one example that translates, which `demo` cannot."""

SETTINGS = {
    "LONGHAND_MODEL_ALIASES": ",".join([*(f"{name}=demo" for name in ALIASES), TRANSLATES]),
    "LONGHAND_DEFAULT_WAIT_S": "300",
    "LONGHAND_ENGINE_THREADS": "1",  # as in every other test
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is a test of the compat suite."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.compat)


@pytest.fixture(scope="session")
def environments() -> Iterator[Environments]:
    """Every client's environment; all are being installed from now on."""
    made = Environments()
    yield made
    made.close()


@pytest.fixture(scope="session")
def environment(environments: Environments) -> Callable[[str], Path]:
    """A function: the Python that has the clients called so in `clients.toml`."""
    return environments.python


@pytest.fixture(scope="session")
def node_project(environments: Environments) -> Callable[[str], Path]:
    """A function: the folder with `node_modules` of the clients called so in `clients.toml`."""
    return environments.node


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory, demo_model: Path) -> Path:
    """The demo model with its companions, and a `tiny` of random weights, which translates."""
    return add_tiny(tmp_path_factory.mktemp("models"))


@contextmanager
def running_site(models_dir: Path, **env: str) -> Iterator[Site]:
    """A site for as long as the block; its settings on top of the suite's own."""
    directory = Path(tempfile.mkdtemp(prefix="longhand-"))
    settings = SETTINGS | {"LONGHAND_MODELS_DIR": str(models_dir)} | env
    try:
        with Stack(directory, env=settings) as stack:
            site = Site(stack)
            yield site
            site.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def compat_site(models_dir: Path, environments: Environments) -> Iterator[Site]:
    """
    The site all clients of the suite call.

    Every model name of `ALIASES` is the demo model; callers who do not say how long they wait
    wait for the result.
    """
    with running_site(models_dir) as site:
        yield site


@pytest.fixture(scope="session")
def small_site(models_dir: Path) -> Iterator[Site]:
    """A site that takes a megabyte of audio and no more."""
    with running_site(models_dir, LONGHAND_MAX_AUDIO_BYTES="1000000") as site:
        yield site


@pytest.fixture(scope="session")
def speaking_site(
    models_dir: Path, real_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A site with real weights, which tells speakers apart and may fetch from this machine."""
    folder = tmp_path_factory.mktemp("speaking")
    for path in (real_models / "base", CHECKOUT / "models" / "demo-diarization"):
        (folder / path.name).symlink_to(path, target_is_directory=True)
    with running_site(
        folder,
        LONGHAND_DEFAULT_MODEL="base",
        LONGHAND_MODEL_ALIASES="",
        LONGHAND_DIARIZATION_MODEL="demo-diarization",
        LONGHAND_ALLOWED_HOSTS="127.0.0.1",
    ) as site:
        yield site


@pytest.fixture(scope="session")
def live_site(real_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site for live speech, with `tiny.en`."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "tiny.en").symlink_to(real_models / "tiny.en", target_is_directory=True)
    with running_site(
        folder,
        LONGHAND_DEFAULT_MODEL="tiny.en",
        LONGHAND_MODEL_ALIASES="",
        LONGHAND_DEFAULT_WAIT_S="0",
    ) as site:
        yield site


@pytest.fixture(scope="session")
def two_turns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WAV of real speech: what Ann says and what Ben answers."""
    folder = tmp_path_factory.mktemp("two-turns")
    return write_wav(folder / "two.wav", [samples_of(CONVERSATION, folder, TWO_TURNS_S)])


@pytest.fixture(scope="session")
def keyed_site(
    models_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, str]]:
    """A site that lets nobody in without a key, and a key."""
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    key = add_key(keys, "ann")
    env = {"LONGHAND_AUTH": "keys", "LONGHAND_API_KEYS_FILE": str(keys)}
    with running_site(models_dir, **env) as site:
        yield site, key


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Some seconds of English speech, as a WAV."""
    return draw_long_clip(tmp_path_factory.mktemp("clip"), seed=501, length_s=12)


@pytest.fixture(scope="session")
def words(models: LocalModels, clip: Clip) -> str:
    """What the pipeline, in this process, hears in `clip`."""
    return transcribe_here(models, clip.path, TranscriptionRequest(chinese="none")).text.strip()
