"""What a source of models is, and what all sources have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from worker.models.file_set import FileSet
from worker.models.manifest import Mark, mark
from worker.models.sources.arrivals import Arrivals
from worker.models.sources.web import SourceFailed, Web


@dataclass(frozen=True)
class Place:
    """
    The folders of a model that is being fetched.

    Attributes:
        here: The model's folder, which may hold some of its files already, or be missing.
        part: An empty folder for the files that are fetched.
    """

    here: Path
    part: Path


@dataclass(frozen=True)
class Fetched:
    """
    All files of a model: those that were fetched, and those that were here already.

    Attributes:
        checked: By whose hashes they were checked, in words.
    """

    revision: str
    files: Mapping[str, Mark]
    checked: str


@dataclass(frozen=True)
class Offer:
    """
    A file that a source has.

    Attributes:
        file: Its name in the model's folder.
        sha256: The hash that it must have, or "" if that is not known.
        git_hash: The same, of git's kind.
    """

    file: str
    url: str
    n_bytes: int | None = None
    sha256: str = ""
    git_hash: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Source(Protocol):
    """A place that has files of models."""

    @property
    def name(self) -> str:
        """Its name in messages."""
        ...

    def has(self, files: FileSet) -> bool:
        """Whether it may have the model."""
        ...

    def fetch(self, files: FileSet, place: Place, arrivals: Arrivals) -> Fetched:
        """
        Fetch the files that are not here.

        Raises:
            SourceFailed: It has no such model, cannot be reached, or sent wrong files.
            NoRoom: The disk is full.
        """
        ...


def take(offers: Sequence[Offer], place: Place, web: Web, arrivals: Arrivals) -> dict[str, Mark]:
    """
    Download the offered files, and check each; files that are here already are only compared.

    Raises:
        SourceFailed: A file does not have its hash. Files that are here are never replaced.
    """
    marks: dict[str, Mark] = {}
    absent = []
    for offer in offers:
        if (place.here / offer.file).is_file():
            marks[offer.file] = compare(place.here / offer.file, offer)
        else:
            absent.append(offer)
    arrivals.expect(sum(offer.n_bytes or 0 for offer in absent))
    for offer in absent:
        target = place.part / safe(offer.file)
        found = web.save(offer.url, target, arrivals, n_bytes=offer.n_bytes, headers=offer.headers)
        if not _is_same(target, found, offer):
            raise SourceFailed(f"{offer.file} does not have the hash it should have")
        marks[offer.file] = found
    return marks


def compare(path: Path, offer: Offer) -> Mark:
    """
    The mark of a file that is here already.

    Raises:
        SourceFailed: It is not the file that is offered.
    """
    found = mark(path)
    if not _is_same(path, found, offer):
        raise SourceFailed(f"the {offer.file} that is here is another one")
    return found


def safe(file: str) -> PurePosixPath:
    """
    A file's path below the model's folder.

    Raises:
        SourceFailed: It leads out of the folder.
    """
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise SourceFailed(f"{file!r} leads out of the model's folder")
    return path


def _is_same(path: Path, found: Mark, offer: Offer) -> bool:
    if offer.sha256:
        return found.sha256 == offer.sha256
    if offer.git_hash:
        content = path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == offer.git_hash
    return offer.n_bytes in (None, found.n_bytes)
