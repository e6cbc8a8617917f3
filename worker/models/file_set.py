"""The files of one model, of whichever kind: what makes it whole, and where it is published."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

Kind = Literal["model", "aligner", "diarization model"]
"""What a model is for; one that transcribes is called `model` alone. Error messages say it so."""


@dataclass(frozen=True)
class Repository:
    """
    A repository of the Hugging Face Hub that holds files of a model.

    Attributes:
        wanted: Patterns of the files to take.
        either: Patterns; the first that any file has is taken too.
        revision: A branch or commit.
        into: Where its files lie below the model's folder.
        is_gated: Whether its conditions have to be accepted, and a token shown.
    """

    name: str
    wanted: tuple[str, ...]
    either: tuple[str, ...] = ()
    revision: str = "main"
    into: str = ""
    is_gated: bool = False


@dataclass(frozen=True)
class Package:
    """
    A package of the Python index whose wheel holds files of a model.

    Attributes:
        files: Which file of the model each file of the wheel is. Several that are the same one
            are its parts, in order; they may go on in the next package.
    """

    name: str
    version: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class Origin:
    """
    Where a model is published.

    Attributes:
        address: URL of its one file; if that holds a SHA-256, `hashes` has it.
        hashes: SHA-256 of each file, where we know it: then no source is believed.
    """

    repositories: tuple[Repository, ...] = ()
    packages: tuple[Package, ...] = ()
    address: str = ""
    hashes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FileSet(ABC):
    """
    The files of one model.

    Attributes:
        param: The field of a request that names it.
    """

    name: str
    kind: ClassVar[Kind] = "model"
    param: ClassVar[str] = "model"

    @property
    def folder_name(self) -> str:
        """The name of its folder, below LONGHAND_MODELS_DIR and on a mirror."""
        return self.name.replace("/", "--")

    @property
    @abstractmethod
    def origin(self) -> Origin | None:
        """Where it is published; None for one that no catalogue has."""

    @property
    @abstractmethod
    def needs(self) -> str:
        """Which files it consists of, in words, for a person who puts them there by hand."""

    @abstractmethod
    def missing(self, folder: Path) -> list[str]:
        """What a folder lacks of it; nothing where the model is whole."""

    @property
    def made_from(self) -> FileSet | None:
        """Another form of the same model, which this one can be converted from."""
        return None

    def convert(self, source: Path, part: Path) -> None:
        """
        Write this form of the model into the empty folder `part`.

        Args:
            source: The folder of `made_from`.

        Raises:
            NotConvertible: Its weights cannot be converted, or not on this machine.
        """
        raise NotImplementedError

    def read_path(self, folder: Path) -> Path:
        """What is to be loaded of the model's folder: all of it, unless a kind says otherwise."""
        return folder

    @property
    def by_hand(self) -> str:
        """What can be done where no source has it."""
        repositories = self.origin.repositories if self.origin else ()
        published = " and ".join(
            repository.name if repository.revision == "main" else
            f"{repository.name} at {repository.revision[:12]}"
            for repository in repositories
        )  # fmt: skip
        of = f" of {published}" if published else ""
        return (
            f"put its files into {self.folder_name!r} below LONGHAND_MODELS_DIR: {self.needs}{of}"
        )


def lacking(folder: Path, *patterns: str) -> list[str]:
    """The patterns that no file of a folder has, in their order."""
    return [pattern for pattern in patterns if not any(folder.glob(pattern))]


def how_to_be_let_in(repositories: Iterable[Repository]) -> str:
    """What to do to be given repositories whose conditions have to be accepted."""
    pages = [f"https://huggingface.co/{each.name}" for each in repositories if each.is_gated]
    accept = f"accept the conditions at {' and '.join(pages)} and " if pages else ""
    return f"{accept}set LONGHAND_HF_TOKEN to a token of the same account"
