"""What the tests with real weights share: the models, loaded once, and speech to give them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from real_speech import CONVERSATION, TWO_TURNS_S, samples_of, write_wav
from sites import open_site
from spoken import transcribe_here

from shared.request import TranscriptionRequest
from shared.settings import CHECKOUT
from shared.transcript import Transcript
from worker.processes.local import LocalModels
from worker.settings import WorkerSettings

__all__ = ["open_site"]

Hear = Callable[..., Transcript]


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """
    The folder of recordings beside the project.

    It is no part of the project, so that tests without it are skipped in CI too.
    """
    found = CHECKOUT.parent / "shared"
    if not (found / "speech" / "manifest.json").is_file():
        pytest.skip(f"no recordings at {found / 'speech'}: they are not part of the project")
    return found


@pytest.fixture(scope="session")
def speech_dir(shared_dir: Path) -> Path:
    """Real recordings with their truth; its README says which."""
    return shared_dir / "speech"


@pytest.fixture(scope="session")
def recordings(shared_dir: Path) -> Path:
    """Inputs that failed; the README beside them says how."""
    return shared_dir / "cases" / "recordings"


@pytest.fixture(scope="session")
def real(real_models: Path) -> LocalModels:
    """
    The real models in this process, in float32: processors round int8 differently.

    What int8 writes is tried in test_apart.py, by either arithmetic, and through whole sites.
    """
    settings = WorkerSettings(
        models_dir=real_models,
        default_model="base",
        downloads=False,
        device="cpu",
        compute_type="float32",
    )
    return LocalModels(settings)


@pytest.fixture(scope="session")
def hear(real: LocalModels) -> Hear:
    """
    A function that transcribes a file with `base`, or the model named, by options.

    A recording that was heard before with the same options is not decoded again.
    """
    heard: dict[tuple[str, str, str], Transcript] = {}

    def run(path: Path, model: str = "base", **options: object) -> Transcript:
        request = TranscriptionRequest.model_validate(options)
        key = hashlib.sha256(path.read_bytes()).hexdigest(), model, request.model_dump_json()
        if key not in heard:
            heard[key] = transcribe_here(real, path, request, model=model)
        return heard[key]

    return run


@pytest.fixture(scope="session")
def conversation(hear: Hear) -> Transcript:
    """What `base` makes of the whole conversation."""
    return hear(CONVERSATION)


@pytest.fixture(scope="session")
def two_turns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first two turns of the conversation."""
    folder = tmp_path_factory.mktemp("two-turns")
    return write_wav(folder / "two.wav", [samples_of(CONVERSATION, folder, TWO_TURNS_S)])
