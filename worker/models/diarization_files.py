"""Which files make a diarization model, and what the config of a pipeline says about them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from shared.catalogue import ModelEntry
from shared.errors import ModelNotFound
from worker.models.file_set import FileSet, Kind, Origin, Repository, lacking
from worker.models.published import PUBLISHED

LIGHT = "diarization"
"""The model that needs neither torch nor a token."""

SEGMENTATION_FILE = "segmentation.pt"
VOICES_FILE = "voices.pt"

CONFIG_FILE = "config.yaml"
PIPELINES: Mapping[str, Mapping[str, str]] = {
    "pyannote/speaker-diarization-community-1": {},
    "pyannote/speaker-diarization-3.1": {
        "segmentation": "pyannote/segmentation-3.0",
        "embedding": "pyannote/wespeaker-voxceleb-resnet34-LM",
    },
}
"""Pipelines that can be fetched, each with the repositories of parts that its own lacks."""

_CONDITIONS: Mapping[str, tuple[str, ...]] = {
    "pyannote/speaker-diarization-3.1": ("pyannote/segmentation-3.0",),
}
"""Other repositories than the pipeline's own whose conditions have to be accepted."""

_KIND = "pyannote.audio.pipelines.SpeakerDiarization"
_FILES = (CONFIG_FILE, "*.bin", "*.npz")
_FOLDER_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_WEIGHTS = ("pytorch_model.bin", "plda.npz")
VBX = "VBxClustering"


def diarizer_name(entry: ModelEntry, site_default: str, chosen: str | None) -> str:
    """
    The diarization model to use: the caller's choice, else the model's own, else the site's.

    Args:
        entry: The model that transcribes.
        chosen: The caller's choice: a model of the catalogue, or the name of a folder directly
            below LONGHAND_MODELS_DIR. It cannot lead anywhere else.

    Raises:
        ModelNotFound: `chosen` cannot be the name of a diarization model.

    >>> from shared.catalogue import MODELS
    >>> diarizer_name(MODELS["demo"], "pyannote/speaker-diarization-3.1", None)
    'demo-diarization'
    >>> diarizer_name(MODELS["small"], "pyannote/speaker-diarization-3.1", None)
    'pyannote/speaker-diarization-3.1'
    """
    if chosen is None:
        return entry.diarizer or site_default
    _check_name(chosen)
    return chosen


def _check_name(name: str) -> None:
    if name not in PIPELINES and not _FOLDER_NAME.fullmatch(name):
        known = ", ".join((LIGHT, *PIPELINES))
        raise ModelNotFound(
            f"diarization model {name!r} is not known; there are {known}, and folders below "
            f"LONGHAND_MODELS_DIR by their name",
            param="diarize_model",
        )


class DiarizerFiles(FileSet):
    """
    The files of a pipeline of pyannote.audio.

    Raises:
        ModelNotFound: `name` cannot be the name of one.
    """

    kind: ClassVar[Kind] = "diarization model"
    param = "diarize_model"

    def __post_init__(self) -> None:
        """Refuse a name that could lead to another folder."""
        _check_name(self.name)

    @property
    def origin(self) -> Origin | None:
        """See `FileSet.origin`."""
        if self.name not in PIPELINES:
            return None
        gated = {self.name, *_CONDITIONS.get(self.name, ())}
        places = {self.name: "", **{repo: part for part, repo in PIPELINES[self.name].items()}}
        return Origin(
            tuple(
                Repository(name, _FILES, into=into, is_gated=name in gated)
                for name, into in places.items()
            )
        )

    @property
    def needs(self) -> str:
        """See `FileSet.needs`."""
        return f"{CONFIG_FILE}, and {', '.join(_WEIGHTS)} in folders of its parts"

    def missing(self, folder: Path) -> list[str]:
        """See `FileSet.missing`."""
        try:
            config = _load_config(folder)
            return [str(inside) for inside in _missing_parts(folder, config).values()]
        except OSError:
            return [CONFIG_FILE]
        except ModelNotFound:  # the config is not that of a pipeline; opening it will say so
            return []


class LightFiles(FileSet):
    """The files of `LIGHT`: weights of pyannote's segmentation-3.0 and of 3D-Speaker's CAM++."""

    kind: ClassVar[Kind] = "diarization model"
    param = "diarize_model"

    @property
    def origin(self) -> Origin | None:
        """See `FileSet.origin`."""
        known = PUBLISHED[LIGHT]
        return Origin(packages=known.packages, hashes=known.hashes)

    @property
    def needs(self) -> str:
        """See `FileSet.needs`."""
        (package,) = PUBLISHED[LIGHT].packages
        of_wheel = ", ".join(f"{source} as {file}" for source, file in package.files.items())
        return f"{of_wheel}, of the wheel of {package.name} {package.version}"

    def missing(self, folder: Path) -> list[str]:
        """See `FileSet.missing`."""
        return lacking(folder, SEGMENTATION_FILE, VOICES_FILE)


def diarizer_files(name: str) -> FileSet:
    """
    The files of a diarization model.

    Raises:
        ModelNotFound: `name` cannot be the name of one.
    """
    return LightFiles(name) if name == LIGHT else DiarizerFiles(name)


def read_config(folder: Path) -> dict[str, Any]:
    """
    Read the `config.yaml` of a pipeline.

    Raises:
        ModelNotFound: It is not that of a speaker diarization, or one of its parts is missing.
    """
    config = _load_config(folder)
    for part, inside in _missing_parts(folder, config).items():
        raise ModelNotFound(
            f"diarization model {folder.name!r} has no {part} in {str(inside)!r}",
            param="diarize_model",
        )
    return config


def _load_config(folder: Path) -> dict[str, Any]:
    import yaml

    try:
        config = yaml.safe_load((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelNotFound(
            f"{CONFIG_FILE} of {folder.name!r} cannot be read: {error}", param="diarize_model"
        ) from error
    kind = config.get("pipeline", {}).get("name") if isinstance(config, dict) else None
    if kind != _KIND:
        raise ModelNotFound(
            f"{folder.name!r} is {kind!r}, not a pipeline of {_KIND}", param="diarize_model"
        )
    return dict(config)


def _missing_parts(folder: Path, config: Mapping[str, Any]) -> dict[str, PurePosixPath]:
    """The parts of a pipeline that have no weights, and their folders."""
    return {
        part: inside
        for part, inside in part_folders(config).items()
        if not any((folder / inside / file).is_file() for file in _WEIGHTS)
    }


def part_folders(config: Mapping[str, Any]) -> dict[str, PurePosixPath]:
    """The folder of each part that a pipeline needs, below its own folder."""
    params = config["pipeline"].get("params", {})
    needed = ["segmentation", "embedding"]
    if params.get("clustering", VBX) == VBX:
        needed.append("plda")
    return {part: part_folder(part, str(params.get(part, ""))) for part in needed}


def part_folder(part: str, value: str) -> PurePosixPath:
    """
    The folder of a pipeline's part, below its own folder, whatever repository its config names.

    Raises:
        ModelNotFound: The config names a path outside.

    >>> part_folder("embedding", "pyannote/wespeaker-voxceleb-resnet34-LM")
    PurePosixPath('embedding')
    """
    if not value.startswith("$model/"):
        return PurePosixPath(part)
    inside = PurePosixPath(value.removeprefix("$model/").partition("@")[0])
    if ".." in inside.parts or inside.is_absolute():
        raise ModelNotFound(f"{value!r} leads out of the pipeline's folder", param="diarize_model")
    return inside
