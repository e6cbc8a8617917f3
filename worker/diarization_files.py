"""From a diarization pipeline's name to its folder: shipped, put there by hand, or fetched."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from shared.catalogue import ModelEntry
from shared.errors import ModelNotFound
from worker.models.download import check_snapshot
from worker.models.files import SHIPPED, alone, move_in
from worker.models.manifest import describe

CONFIG_FILE = "config.yaml"
PIPELINES: Mapping[str, Mapping[str, str]] = {
    "pyannote/speaker-diarization-community-1": {},
    "pyannote/speaker-diarization-3.1": {
        "segmentation": "pyannote/segmentation-3.0",
        "embedding": "pyannote/wespeaker-voxceleb-resnet34-LM",
    },
}
"""Pipelines that can be fetched, each with the repositories of the parts it does not hold."""

_CONDITIONS: Mapping[str, tuple[str, ...]] = {
    "pyannote/speaker-diarization-3.1": ("pyannote/segmentation-3.0",),
}
"""Repositories, beside the pipeline's own, whose conditions have to be accepted."""

_KIND = "pyannote.audio.pipelines.SpeakerDiarization"
_FILES = [CONFIG_FILE, "*.bin", "*.npz"]
_FOLDER_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_WEIGHTS = ("pytorch_model.bin", "plda.npz")
_TIMEOUT_S = 10.0
VBX = "VBxClustering"

_log = logging.getLogger(__name__)


def diarizer_name(entry: ModelEntry, site_default: str, chosen: str | None) -> str:
    """
    The name of the pipeline that is meant: the caller's, else the model's, else the site's.

    Args:
        entry: The model that transcribes.
        chosen: What the caller wrote: a pipeline's name, or that of a folder directly
            below LONGHAND_MODELS_DIR. It cannot lead anywhere else.

    Raises:
        ModelNotFound: `chosen` can be no name.

    >>> from shared.catalogue import MODELS
    >>> diarizer_name(MODELS["demo"], "pyannote/speaker-diarization-3.1", None)
    'demo-diarization'
    >>> diarizer_name(MODELS["small"], "pyannote/speaker-diarization-3.1", None)
    'pyannote/speaker-diarization-3.1'
    """
    if chosen is None:
        return entry.diarizer or site_default
    folder_name(chosen)
    return chosen


def folder_name(name: str) -> str:
    """
    The folder of a pipeline.

    >>> folder_name("pyannote/speaker-diarization-3.1")
    'pyannote--speaker-diarization-3.1'
    """
    if name not in PIPELINES and not _FOLDER_NAME.fullmatch(name):
        known = ", ".join(PIPELINES)
        raise ModelNotFound(
            f"diarization model {name!r} is not known; there are {known}, and folders below "
            f"LONGHAND_MODELS_DIR by their name",
            param="diarize_model",
        )
    return name.replace("/", "--")


def locate_pipeline(
    name: str,
    models_dir: Path,
    *,
    downloads: bool,
    hf_token: str | None,
    endpoint: str | None = None,
) -> Path:
    """
    Where a pipeline's files lie; downloads them first if that is allowed.

    Args:
        endpoint: Where the Hugging Face hub is, if not at its usual address.

    Raises:
        ModelNotFound: It is not here and cannot be fetched; says how to mend it.
    """
    folder = folder_name(name)
    for place in (models_dir / folder, SHIPPED / folder):
        if (place / CONFIG_FILE).is_file():
            return place
    where = f"put its files into {folder!r} below LONGHAND_MODELS_DIR"
    if name not in PIPELINES or not downloads:
        why = "" if name not in PIPELINES else " and LONGHAND_DOWNLOADS is off"
        raise ModelNotFound(
            f"diarization model {name!r} is not on this worker{why}; {where}",
            param="diarize_model",
        )
    if not hf_token:
        raise ModelNotFound(
            f"diarization model {name!r} needs a Hugging Face token and there is none; "
            f"{_how_to_be_let_in(name)}, or {where}",
            param="diarize_model",
        )
    _fetch(name, models_dir / folder, hf_token, endpoint)
    return models_dir / folder


def _how_to_be_let_in(name: str) -> str:
    pages = [f"https://huggingface.co/{page}" for page in (name, *_CONDITIONS.get(name, ()))]
    return (
        f"accept the conditions at {' and '.join(pages)} and set LONGHAND_HF_TOKEN to a token of "
        f"the same account"
    )


def _fetch(name: str, folder: Path, token: str, endpoint: str | None) -> None:
    from huggingface_hub.errors import HfHubHTTPError

    try:
        with alone(folder) as part:
            if not (folder / CONFIG_FILE).is_file():
                _download(name, part, token, endpoint)
                move_in(part, folder)
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else None
        refused = status in (401, 403)
        mend = _how_to_be_let_in(name) if refused else "try again later"
        raise ModelNotFound(
            f"diarization model {name!r} was {'refused' if refused else 'not sent'} by the Hugging "
            f"Face hub ({status}); {mend}",
            param="diarize_model",
        ) from error
    except Exception as error:
        raise ModelNotFound(
            f"diarization model {name!r} could not be downloaded "
            f"({type(error).__name__}: {error}); put its files into {folder.name!r} below "
            f"LONGHAND_MODELS_DIR",
            param="diarize_model",
        ) from error


def _download(name: str, part: Path, token: str, endpoint: str | None) -> None:
    """Fetch a pipeline and every part of it that has a repository of its own."""
    from huggingface_hub import HfApi

    _log.info("downloading diarization model %s", name)
    api = HfApi(endpoint=endpoint, token=token)
    places = {name: part, **{repo: part / key for key, repo in PIPELINES[name].items()}}
    # Every repository is asked for before anything is fetched: one call that fails at once
    # where there is no network, and that tells a token that is refused.
    details = {
        repository: api.model_info(repository, files_metadata=True, timeout=_TIMEOUT_S)
        for repository in places
    }
    for repository, place in places.items():
        api.snapshot_download(
            repository, revision=details[repository].sha, local_dir=place, allow_patterns=_FILES
        )
        check_snapshot(place, details[repository])
        shutil.rmtree(place / ".cache", ignore_errors=True)
    describe(part, name, details[name].sha or "")


def read_config(folder: Path) -> dict[str, Any]:
    """
    What a pipeline's `config.yaml` says.

    Raises:
        ModelNotFound: It is no speaker diarization, or one of its parts is missing.
    """
    import yaml

    config = yaml.safe_load((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    kind = config.get("pipeline", {}).get("name") if isinstance(config, dict) else None
    if kind != _KIND:
        raise ModelNotFound(
            f"{folder.name!r} is {kind!r}, not a pipeline of {_KIND}", param="diarize_model"
        )
    for part, inside in part_folders(config).items():
        if not any((folder / inside / file).is_file() for file in _WEIGHTS):
            raise ModelNotFound(
                f"diarization model {folder.name!r} has no {part} in {str(inside)!r}",
                param="diarize_model",
            )
    return dict(config)


def part_folders(config: Mapping[str, Any]) -> dict[str, PurePosixPath]:
    """Where the parts lie that a pipeline needs, below its folder."""
    params = config["pipeline"].get("params", {})
    needed = ["segmentation", "embedding"]
    if params.get("clustering", VBX) == VBX:
        needed.append("plda")
    return {part: part_folder(part, str(params.get(part, ""))) for part in needed}


def part_folder(part: str, value: str) -> PurePosixPath:
    """
    Where a part of a pipeline lies below its folder, whatever repository its config names.

    >>> part_folder("embedding", "pyannote/wespeaker-voxceleb-resnet34-LM")
    PurePosixPath('embedding')
    """
    if not value.startswith("$model/"):
        return PurePosixPath(part)
    inside = PurePosixPath(value.removeprefix("$model/").partition("@")[0])
    if ".." in inside.parts or inside.is_absolute():
        raise ModelNotFound(f"{value!r} leads out of the pipeline's folder", param="diarize_model")
    return inside
