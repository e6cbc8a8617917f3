"""Folders of models of every kind: found, fetched, converted, checked and removed."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Self

from shared.errors import InvalidRequest, ModelNotFound
from shared.settings import CHECKOUT
from worker.engines import ENGINES
from worker.models.alignment_files import AlignerFiles
from worker.models.conversion.ctranslate2_file import NotConvertible
from worker.models.diarization_files import diarizer_files
from worker.models.fetching import NOTHING_FETCHED, Fetching, NotFetched, fetch
from worker.models.file_set import FileSet, Kind, how_to_get_access
from worker.models.folders import alone, move_in
from worker.models.manifest import Checked, check_files
from worker.models.whisper_files import whisper_files

if TYPE_CHECKING:
    from worker.models.sources.arrivals import ReportBytes
    from worker.settings import WorkerSettings

SHIPPED = CHECKOUT / "models"

_log = logging.getLogger(__name__)


class ModelStore:
    """
    The models of one site.

    Args:
        directory: Holds a folder for each model, named after it; downloads go there too.
        engine: The engine that reads the Whisper models.
    """

    def __init__(
        self,
        directory: Path,
        fetching: Fetching = NOTHING_FETCHED,
        engine: str = "faster_whisper",
    ) -> None:
        self.directory = directory
        self.weights_form = ENGINES[engine].weights
        self._fetching = fetching

    @classmethod
    def of(cls, settings: WorkerSettings) -> Self:
        """The store of a worker with these settings."""
        return cls(settings.models_dir, Fetching.of(settings), settings.engine)

    @property
    def has_mirror(self) -> bool:
        """Whether there is a mirror: it may have models that no catalogue knows."""
        return bool(self._fetching.mirror)

    def find(self, files: FileSet) -> Path | None:
        """The folder of a model that is complete, or None."""
        return next((f for f in self._folders(files) if not files.missing(f)), None)

    def find_any(self, files: FileSet) -> Path | None:
        """The folder of a model, complete or not; None if there is none."""
        return self.find(files) or next(filter(Path.is_dir, self._folders(files)), None)

    def files_of(self, kind: Kind, name: str) -> FileSet:
        """
        Which files make a model; of a Whisper model, those in the form that the engine reads.

        Raises:
            ModelNotFound: No model of that kind can have the name.
        """
        if kind == "aligner":
            return AlignerFiles(name)
        if kind == "diarization model":
            return diarizer_files(name)
        return whisper_files(name, self.weights_form)

    def locate(self, kind: Kind, name: str) -> Path:
        """
        What is to be loaded of a model: its folder, or the checkpoint in it.

        What is missing is fetched or converted first, if downloads are allowed.

        Raises:
            ModelNotFound: It is not here and cannot be fetched; the message says what to do.
        """
        files = self.files_of(kind, name)
        if self._has_nothing(files):
            raise ModelNotFound(f"{self._absence(files)}; {files.by_hand}", param=files.param)
        try:
            return self.pull(files)
        except NotFetched as error:
            raise ModelNotFound(str(error), param=files.param) from error

    def why_not(self, files: FileSet) -> str | None:
        """
        Why `locate` would fail, as far as that can be said without asking a source.

        Returns:
            A sentence that says what to do; None if the model is here or may be fetched.
        """
        if self._has_nothing(files):
            return f"{self._absence(files)}; {files.by_hand}"
        if self.find(files):
            return None
        origin, fetching = files.origin, self._fetching
        if fetching.mirror or fetching.token or origin is None or origin.packages or origin.address:
            return None
        if not any(repository.is_gated for repository in origin.repositories):
            return None
        return (
            f"{files.kind} {files.name!r} is not on this worker; to have it fetched "
            f"{how_to_get_access(origin.repositories)}"
        )

    def pull(self, files: FileSet, report: ReportBytes = lambda source, here, whole: None) -> Path:
        """
        Fetch what is missing of a model, or convert it from another form.

        Returns:
            What is to be loaded of it, as `locate` does.

        Raises:
            NotFetched: No source has it, or it cannot be converted.
        """
        return files.read_path(self.find(files) or self._get(files, report))

    def _get(self, files: FileSet, report: ReportBytes) -> Path:
        """Fetch a model, or fetch and convert another form of it; returns its folder."""
        other = files.made_from
        if other is None:
            return self._fetch(files, report)
        source = self.find(other)
        if source is None:
            try:
                return self._fetch(files, report)
            except NotFetched as error:
                failures = error.failures
            try:
                source = self._fetch(other, report)
            except NotFetched as error:
                failures = list(dict.fromkeys([*failures, *error.failures]))
                raise NotFetched(files, failures) from error
        return self._convert(files, source)

    def _fetch(self, files: FileSet, report: ReportBytes) -> Path:
        folder = self.directory / files.folder_name
        try:
            with alone(folder) as part:
                if found := self.find(files):  # another process was faster
                    return found
                fetch(files, folder, part, self._fetching, report)
        except OSError as error:
            raise NotFetched(files, [f"{self.directory}: {error.strerror or error}"]) from error
        except ValueError as error:  # the folder's description cannot be read
            raise NotFetched(files, [f"{folder}: {error}"]) from error
        return folder

    def _convert(self, files: FileSet, source: Path) -> Path:
        folder = self.directory / files.folder_name
        _log.info("converting %s %s", files.kind, files.name)
        try:
            with alone(folder) as part:
                if found := self.find(files):  # another process was faster
                    return found
                part.mkdir()
                files.convert(source, part)
                move_in(part, folder)
        except NotConvertible as error:
            raise NotFetched(files, [str(error)]) from error
        except OSError as error:
            why = f"its converted form cannot be written: {error.strerror or error}"
            raise NotFetched(files, [f"{folder}: {why}"]) from error
        return folder

    def remove(self, files: FileSet) -> None:
        """
        Delete a model's folder.

        Raises:
            InvalidRequest: It ships with Longhand.
            ModelNotFound: It is not here.
        """
        folder, shipped = self._folders(files)
        if folder.resolve() == shipped.resolve() and not files.origin:
            raise InvalidRequest(f"{files.kind} {files.name!r} ships with Longhand and stays")
        if not folder.is_dir() and not folder.is_symlink():
            elsewhere = self.find_any(files)
            hint = f"; {elsewhere} is not below it" if elsewhere else ""
            raise ModelNotFound(
                f"there is no {files.kind} {files.name!r} in {self.directory}{hint}"
            )
        with alone(folder) as part:
            if folder.is_symlink():
                folder.unlink()
                return
            # Hidden first, so that nobody finds half a model.
            folder.replace(part)
            shutil.rmtree(part)

    def verify(self, files: FileSet, *, hashes: bool = True) -> Checked:
        """
        Compare a model's files with its description, and with what it needs.

        Raises:
            ModelNotFound: It is not here.
        """
        folder = self.find_any(files)
        if folder is None:
            raise ModelNotFound(f"{files.kind} {files.name!r} is not here", param=files.param)
        return check_files(folder, hashes=hashes, missing=files.missing(folder))

    def _folders(self, files: FileSet) -> tuple[Path, Path]:
        name = files.folder_name
        if not name[:1].isalnum():  # a hidden folder, or one elsewhere
            raise ModelNotFound(f"{files.name!r} is no name of a {files.kind}", param=files.param)
        return self.directory / name, SHIPPED / name

    def _has_nothing(self, files: FileSet) -> bool:
        """Whether a model is neither here, in any form, nor at any source that may be asked."""
        forms = [each for each in (files, files.made_from) if each]
        has_source = self.has_mirror or any(each.origin is not None for each in forms)
        if self._fetching.is_allowed and has_source:
            return False
        return not any(map(self.find, forms))

    def _absence(self, files: FileSet) -> str:
        folder = self.find_any(files)
        lacks = f"lacks {', '.join(files.missing(folder))}" if folder else "is not"
        why = (
            "nor in the catalogue to be downloaded"
            if self._fetching.is_allowed
            else "and LONGHAND_DOWNLOADS is off"
        )
        return f"{files.kind} {files.name!r} {lacks} on this worker {why}"
