"""The Whisper models on disk: which weights, and which models the operator added."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

from shared.catalogue import MODELS, ModelEntry, may_be_own
from worker.models.manifest import DESCRIPTION_FILE, Manifest, read_manifest
from worker.models.store import ModelStore
from worker.models.whisper_files import CTranslate2Files, whisper_files

if TYPE_CHECKING:
    from worker.settings import WorkerSettings

_log = logging.getLogger(__name__)


class WhisperModels:
    """The Whisper models in a store."""

    def __init__(self, store: ModelStore) -> None:
        self.store = store
        self._manifests: dict[Path, tuple[tuple[int, int], Manifest]] = {}

    @classmethod
    def of(cls, settings: WorkerSettings) -> Self:
        """The models of a worker with these settings."""
        return cls(ModelStore.of(settings))

    def revision(self, name: str) -> str:
        """A hash or commit that identifies a model's weights; "" if it is not known."""
        weights = self._weights(name)
        return self._noted(weights.parent).revision_of(weights.name) if weights else ""

    def local_revisions(self) -> dict[str, str]:
        """
        The revision of each model that needs no download.

        Cheap enough for every few seconds: a description is read again only after it changed.
        """
        names = (*MODELS, *(entry.name for entry in self.own()))
        return {name: self.revision(name) for name in names if self._weights(name)}

    def own(self) -> list[ModelEntry]:
        """The models that the operator added and that lack no file."""
        return [
            _own_entry(name, self._noted(self.store.directory / name).own or {})
            for name in self.own_names()
            if self.store.find(CTranslate2Files(name))
        ]

    def own_names(self) -> list[str]:
        """Names of the models that the operator added, with those that lack a file."""
        folders = self._unknown_folders()
        return [folder.name for folder in folders if self._noted(folder).own is not None]

    def weights_bytes(self, name: str) -> int:
        """Size of the weights that the engine would load; 0 if they are not here."""
        weights = self._weights(name)
        return weights.stat().st_size if weights else 0

    def _weights(self, name: str) -> Path | None:
        """The file of weights that the engine reads, or the one they would be converted from."""
        forms = (whisper_files(name, self.store.weights_form), CTranslate2Files(name))
        for files in dict.fromkeys(forms):
            if folder := self.store.find(files):
                return files.weights_file(folder)
        return None

    def _unknown_folders(self) -> Iterator[Path]:
        """Folders that may hold a model of the operator's own, by their names."""
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
