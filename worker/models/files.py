"""From a model's name to its files: shipped with Longhand, put there by hand, or fetched."""

from __future__ import annotations

import fcntl
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from shared.catalogue import MODELS, ModelEntry
from shared.errors import InvalidRequest, ModelNotFound
from shared.settings import CHECKOUT
from worker.engines import ENGINES
from worker.models.compact import COMPACT_FILE
from worker.models.download import Progress, fetch_checkpoint, fetch_ctranslate2
from worker.models.manifest import (
    DESCRIPTION_FILE,
    Checked,
    State,
    check_files,
    own_files,
    read_manifest,
    write_manifest,
)

SHIPPED = CHECKOUT / "models"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredModel:
    """
    A model whose files are here.

    Attributes:
        engines: Those that can read it as it lies there.
        n_bytes: Of all its files.
        state: `complete`, `damaged` or `unverified`, by sizes alone.
    """

    name: str
    engines: tuple[str, ...]
    n_bytes: int
    revision: str
    where: Path
    state: State


class ModelFiles:
    """
    The model directories of one worker.

    Args:
        directory: Where folders named after models lie and downloads land.
        engine: Which engine is to read them.
        downloads: Whether a missing model may be fetched when it is first asked for.
    """

    def __init__(self, directory: Path, engine: str, *, downloads: bool) -> None:
        self._directory = directory
        self._engine = engine
        self._downloads = downloads
        self._revisions: dict[Path, tuple[tuple[int, int], str]] = {}

    def stored(self) -> list[StoredModel]:
        """Models of the catalogue whose files are here, for whichever engine."""
        return [
            StoredModel(
                name,
                tuple(engine for engine in ENGINES if _weights(folder, name, engine)),
                sum(path.stat().st_size for path in own_files(folder)),
                _revision(folder, name, self._engine),
                folder,
                check_files(folder, hashes=False).state,
            )
            for name in MODELS
            if (folder := self._folder(name))
        ]

    def locate(self, name: str) -> Path:
        """
        Where the engine finds a model; downloads it first if that is allowed.

        Raises:
            ModelNotFound: It is not here and cannot be fetched.
        """
        if not self._downloads and self._find(name) is None:
            raise ModelNotFound(
                f"model {name!r} is not on this worker and LONGHAND_DOWNLOADS is off; "
                f"{_by_hand(name)}",
                param="model",
            )
        return self.pull(name)

    def pull(self, name: str, progress: Progress = lambda here, whole: None) -> Path:
        """
        Download a model unless it is here; where the engine finds it.

        Raises:
            ModelNotFound: It cannot be fetched. Nothing of it is left.
        """
        entry = _entry(name)
        if self._find(name) is None:
            self._fetch(entry, progress)
        weights = self._find(name)
        if weights is None:
            raise ModelNotFound(
                f"model {name!r} has no files for the engine {self._engine}", param="model"
            )
        is_checkpoint = weights.suffix == ".pt" and weights.name != COMPACT_FILE
        return weights if is_checkpoint else weights.parent

    def remove(self, name: str) -> None:
        """
        Delete a model's files, for every engine. Workers that have it in memory keep it there.

        Raises:
            InvalidRequest: It is not ours to delete.
            ModelNotFound: It is not here.
        """
        _entry(name)
        folder = self._directory / name
        if folder.resolve() == (SHIPPED / name).resolve() and not MODELS[name].repository:
            raise InvalidRequest(f"model {name!r} ships with Longhand and stays", param="model")
        if not folder.is_dir() and not folder.is_symlink():
            elsewhere = self._folder(name)
            hint = f"; {elsewhere} is not below it" if elsewhere else ""
            raise ModelNotFound(f"there is no model {name!r} in {self._directory}{hint}")
        with alone(self._directory / name) as part:
            if folder.is_symlink():
                folder.unlink()
                return
            # Out of sight first: half a model must not be found.
            folder.replace(part)
            shutil.rmtree(part)

    def verify(self, name: str) -> Checked:
        """
        Compare sizes and hashes of a model's files with those that were downloaded.

        Raises:
            ModelNotFound: It is not here.
        """
        folder = self._folder(_entry(name).name)
        if folder is None:
            raise ModelNotFound(f"model {name!r} is not here", param="model")
        return check_files(folder, hashes=True)

    def revision(self, name: str) -> str:
        """What names the very weights: a hash, a commit, or "" where nobody wrote it down."""
        weights = self._find(name)
        return _revision(weights.parent, name, self._engine) if weights else ""

    def local_revisions(self) -> dict[str, str]:
        """
        Models of the catalogue that need no download, and what names their very weights.

        Cheap enough to be asked every few seconds: a description is read again once it changed.
        """
        found = ((name, self._find(name)) for name in MODELS)
        return {name: self._noted_revision(name, weights) for name, weights in found if weights}

    def _noted_revision(self, name: str, weights: Path) -> str:
        try:
            noted = (weights.parent / DESCRIPTION_FILE).stat()
        except OSError:
            return ""
        mark = noted.st_mtime_ns, noted.st_size
        if self._revisions.get(weights, (None, ""))[0] != mark:
            self._revisions[weights] = mark, _revision(weights.parent, name, self._engine)
        return self._revisions[weights][1]

    def weights_bytes(self, name: str) -> int:
        """Size of the weights that the engine would read; 0 if they are not here."""
        weights = self._find(name)
        return weights.stat().st_size if weights else 0

    def _find(self, name: str) -> Path | None:
        """The weights that the engine reads."""
        folders = (self._directory / name, SHIPPED / name)
        found = (_weights(folder, name, self._engine) for folder in folders)
        return next(filter(None, found), None)

    def _folder(self, name: str) -> Path | None:
        """The folder with weights for any engine, before all others for ours."""
        if weights := self._find(name):
            return weights.parent
        folders = (self._directory / name, SHIPPED / name)
        return next((f for f in folders if any(_weights(f, name, e) for e in ENGINES)), None)

    def _fetch(self, entry: ModelEntry, progress: Progress) -> None:
        if not entry.repository:
            raise ModelNotFound(
                f"model {entry.name!r} ships with Longhand and is missing from {SHIPPED}; "
                "restore it from the repository",
                param="model",
            )
        try:
            with alone(self._directory / entry.name) as part:
                if self._find(entry.name) is None:
                    self._download(entry, part, progress)
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelNotFound(
                f"model {entry.name!r} could not be downloaded ({reason}); {_by_hand(entry.name)}",
                param="model",
            ) from error

    def _download(self, entry: ModelEntry, part: Path, progress: Progress) -> None:
        _log.info("downloading model %s", entry.name)
        part.mkdir()
        fetch = fetch_checkpoint if self._engine == "openai_whisper" else fetch_ctranslate2
        fetch(entry, part, progress)
        move_in(part, self._directory / entry.name)


@contextmanager
def alone(folder: Path) -> Iterator[Path]:
    """
    Let nobody else fetch or remove what lies in a folder; gives a hidden path beside it, cleared.

    Of several workers with one directory one downloads and the others wait for it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{folder.name}.part")
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(part, ignore_errors=True)  # of one who was killed
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)


def move_in(part: Path, folder: Path) -> None:
    """
    Let a whole download appear under its name.

    Another engine's files may lie there already: they stay, and the weights,
    by which a model is found, come last.
    """
    if not folder.exists():
        part.replace(folder)
        return
    old, new = read_manifest(folder), read_manifest(part)
    revision = new.revision if "model.bin" in new.files else old.revision
    write_manifest(part, replace(new, revision=revision, files={**old.files, **new.files}))
    for path in sorted(part.iterdir(), key=lambda path: path.suffix in (".bin", ".pt")):
        path.replace(folder / path.name)


def _entry(name: str) -> ModelEntry:
    if name not in MODELS:
        raise ModelNotFound(f"model {name!r} is not in the catalogue", param="model")
    return MODELS[name]


def _weights(folder: Path, name: str, engine: str) -> Path | None:
    """The file in a folder that makes it a model for an engine."""
    wanted = (COMPACT_FILE, f"{name}.pt") if engine == "openai_whisper" else ("model.bin",)
    return next((folder / file for file in wanted if (folder / file).is_file()), None)


def _revision(folder: Path, name: str, engine: str) -> str:
    try:
        manifest = read_manifest(folder)
    except ValueError as error:
        _log.warning("%s: %s", folder, error)
        return ""
    weights = _weights(folder, name, engine)
    return manifest.revision_of(weights.name) if weights else manifest.revision


def _by_hand(name: str) -> str:
    return f"put its files into {name!r} below LONGHAND_MODELS_DIR"
