"""The files of one model, of any kind: which it needs, and where they are published."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

Kind = Literal["model", "aligner", "diarization model"]
"""What a model is for; one that transcribes is called `model` alone. Error messages say it so."""


@dataclass(frozen=True)
class Repository:
    """
    A repository of the Hugging Face Hub that holds files of a model.

    Attributes:
        wanted: Patterns of the files to fetch.
        either: More patterns; of these only the first that matches a file is used.
        revision: A branch or commit.
        into: The folder for its files, below the model's folder.
        is_gated: Whether it needs a token, of an account that accepted its conditions.
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
        files: The model's file by the wheel's file. A file of the model may be in several parts,
            in order, which may be in several packages.
    """

    name: str
    version: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class Origin:
    """
    Where a model is published.

    Attributes:
        address: URL of its only file.
        hashes: The SHA-256 of each file, if we know it: then files from any source must have it.
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
        param: The field of a request that may name it.
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
        """Where it is published; None if no catalogue has it."""

    @property
    @abstractmethod
    def needs(self) -> str:
        """The files that it needs, in words, for a person who puts them there by hand."""

    @abstractmethod
    def missing(self, folder: Path) -> list[str]:
        """The files, or patterns of files, that a folder lacks; empty if the model is complete."""

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
        """What the operator can do if no source has it, in words."""
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


def read_json(path: Path) -> dict[str, Any]:
    """What a file of JSON holds; empty if there is no such file."""
    found: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return found


def lacking(folder: Path, *patterns: str) -> list[str]:
    """The patterns that match no file of a folder, in their order."""
    return [pattern for pattern in patterns if not any(folder.glob(pattern))]


def how_to_get_access(repositories: Iterable[Repository]) -> str:
    """What to do to get access to repositories whose conditions have to be accepted."""
    pages = [f"https://huggingface.co/{each.name}" for each in repositories if each.is_gated]
    accept = f"accept the conditions at {' and '.join(pages)} and " if pages else ""
    return f"{accept}set LONGHAND_HF_TOKEN to a token of the same account"
