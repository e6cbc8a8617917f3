"""From a Whisper model's name to what an engine reads: in its folder, fetched, or converted."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from shared.catalogue import MODELS, ModelEntry, may_be_own
from shared.errors import ModelNotFound
from worker.engines import ENGINES
from worker.engines.compact import COMPACT_FILE
from worker.models.conversion.ctranslate2_file import NotConvertible
from worker.models.folders import alone, move_in
from worker.models.manifest import (
    DESCRIPTION_FILE,
    Manifest,
    mark,
    read_manifest,
    write_manifest,
)
from worker.models.store import NOTHING_FETCHED, Fetching, ModelStore, NotFetched
from worker.models.whisper_files import (
    WEIGHTS_FILE,
    CheckpointFiles,
    CTranslate2Files,
    weights_of,
)

if TYPE_CHECKING:
    from worker.models.sources.arrivals import Progress
    from worker.settings import WorkerSettings

_log = logging.getLogger(__name__)


class ModelFiles:
    """
    The Whisper models of one worker.

    Args:
        directory: Where folders named after models lie and downloads land.
        engine: Which engine is to read them.
    """

    def __init__(self, directory: Path, engine: str, fetching: Fetching = NOTHING_FETCHED) -> None:
        self.store = ModelStore(directory, fetching)
        self._reads = ENGINES[engine].weights
        self._may_fetch = fetching.is_allowed
        self._manifests: dict[Path, tuple[tuple[int, int], Manifest]] = {}

    @classmethod
    def of(cls, settings: WorkerSettings) -> Self:
        """Those of a worker with these settings."""
        return cls(settings.models_dir, settings.engine, Fetching.of(settings))

    def locate(self, name: str) -> Path:
        """
        What the engine reads of a model; fetches it first if that is allowed.

        Raises:
            ModelNotFound: It is not here and cannot be had.
        """
        try:
            if self._weights(name) is None and not self._may_fetch:
                return self.store.locate(self._form(name))  # which says why not
            return self.pull(name)
        except NotFetched as error:
            raise ModelNotFound(str(error), param="model") from error

    def pull(self, name: str, progress: Progress = lambda source, here, whole: None) -> Path:
        """
        Fetch what is missing of a model, and convert it if the engine needs another form.

        Raises:
            NotFetched: It cannot be had. Nothing of it is left.
        """
        if self._reads != "checkpoint":
            return self.store.pull(CTranslate2Files(name), progress)
        folder = self.store.find(CheckpointFiles(name)) or self._get_checkpoint(name, progress)
        weights = weights_of(folder, name)
        return folder if weights is None or weights.name == COMPACT_FILE else weights

    def revision(self, name: str) -> str:
        """What names the very weights: a hash, a commit, or "" where nobody wrote it down."""
        weights = self._weights(name)
        return self._noted(weights.parent).revision_of(weights.name) if weights else ""

    def local_revisions(self) -> dict[str, str]:
        """
        Models that need no download, and what names their very weights.

        Cheap enough to be asked every few seconds: a description is read again once it changed.
        """
        names = (*MODELS, *(entry.name for entry in self.own()))
        return {name: self.revision(name) for name in names if self._weights(name)}

    def own(self) -> list[ModelEntry]:
        """The operator's own models that are whole, which were added to the catalogue's."""
        return [
            _own_entry(name, self._noted(self.store.directory / name).own or {})
            for name in self.own_names()
            if self.store.find(CTranslate2Files(name))
        ]

    def own_names(self) -> list[str]:
        """Names of the operator's own models; one may lack a file."""
        folders = self._unknown_folders()
        return [folder.name for folder in folders if self._noted(folder).own is not None]

    def weights_bytes(self, name: str) -> int:
        """Size of the weights that the engine would read; 0 if they are not here."""
        weights = self._weights(name)
        return weights.stat().st_size if weights else 0

    def _form(self, name: str) -> CheckpointFiles | CTranslate2Files:
        return (CheckpointFiles if self._reads == "checkpoint" else CTranslate2Files)(name)

    def _weights(self, name: str) -> Path | None:
        """The weights that the engine reads, or those that it would be given a copy of."""
        if self._reads == "checkpoint" and (folder := self.store.find(CheckpointFiles(name))):
            return weights_of(folder, name)
        folder = self.store.find(CTranslate2Files(name))
        return folder / WEIGHTS_FILE if folder else None

    def _get_checkpoint(self, name: str, progress: Progress) -> Path:
        """Fetch a checkpoint; or make one, of what is here or can be fetched."""
        files, source = CheckpointFiles(name), CTranslate2Files(name)
        made_from = self.store.find(source)
        if made_from is None:
            try:
                return self.store.pull(files, progress)
            except NotFetched as error:
                failures = error.failures
            try:
                made_from = self.store.pull(source, progress)
            except NotFetched as error:
                told = dict.fromkeys([*failures, *error.failures])
                raise NotFetched(files, list(told)) from error
        return self._convert(files, made_from)

    def _convert(self, files: CheckpointFiles, made_from: Path) -> Path:
        folder = self.store.directory / files.folder_name
        _log.info("converting model %s for openai-whisper", files.name)
        try:
            with alone(folder) as part:
                if found := self.store.find(files):  # by another, meanwhile
                    return found
                part.mkdir()
                _write_checkpoint(files.name, made_from, part)
                move_in(part, folder)
        except NotConvertible as error:
            raise NotFetched(files, [f"{made_from / WEIGHTS_FILE}: {error}"]) from error
        except ImportError as error:
            why = f"to convert it takes openai-whisper ({error}); install the extra `whisper`"
            raise NotFetched(files, [why]) from error
        except OSError as error:
            why = f"its converted form cannot be written: {error.strerror or error}"
            raise NotFetched(files, [f"{folder}: {why}"]) from error
        return folder

    def _unknown_folders(self) -> Iterator[Path]:
        """Folders whose name may be that of an operator's own model."""
        try:
            folders = sorted(self.store.directory.iterdir())
        except OSError:
            return
        yield from (folder for folder in folders if may_be_own(folder.name) and folder.is_dir())

    def _noted(self, folder: Path) -> Manifest:
        try:
            found = (folder / DESCRIPTION_FILE).stat()
        except OSError:
            return Manifest()
        changed = found.st_mtime_ns, found.st_size
        if self._manifests.get(folder, (None, None))[0] != changed:
            self._manifests[folder] = changed, _read(folder)
        return self._manifests[folder][1]


def _own_entry(name: str, own: Mapping[str, bool]) -> ModelEntry:
    return ModelEntry(
        name,
        "",
        is_multilingual=own.get("is_multilingual", True),
        translates=own.get("translates", True),
        knows_cantonese=own.get("knows_cantonese", False),
    )


def _read(folder: Path) -> Manifest:
    try:
        return read_manifest(folder)
    except ValueError as error:
        _log.warning("%s: %s", folder, error)
        return Manifest()


def _write_checkpoint(name: str, made_from: Path, part: Path) -> None:
    """Convert a model's weights, and note that the copy is one."""
    from worker.models.conversion.checkpoint import write_checkpoint

    target = part / f"{name}.pt"
    write_checkpoint(made_from, target)
    files = {target.name: replace(mark(target), made_from=WEIGHTS_FILE)}
    noted = _read(made_from)
    write_manifest(part, Manifest(name, noted.revision, files, source=noted.source))
