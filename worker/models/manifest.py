"""`longhand.json`, a description in each model's folder, by which its files can be checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from worker.engines.compact import COMPACT_FILE

DESCRIPTION_FILE = "longhand.json"
_SHORT_HASH = 12

State = Literal["ok", "complete", "damaged", "incomplete", "unverified"]
"""
`ok`: every file has the hash in the description; `complete`: every file has the size, and hashes
were not compared; `damaged`: a file differs; `incomplete`: a needed file is missing; `unverified`:
some files are not in the description.
"""


@dataclass(frozen=True)
class Mark:
    """
    The size and hash that a file should have.

    Attributes:
        made_from: The file in the same folder that it was converted from, or "".
    """

    n_bytes: int
    sha256: str
    made_from: str = ""


@dataclass(frozen=True)
class Manifest:
    """
    The contents of `longhand.json`.

    Attributes:
        revision: A hash or a commit, or "" if it is not known.
        files: By path below the folder; empty for a model that was put there by hand.
        source: Where the files came from, and by what they were checked.
        own: What an own model of the operator can do, by fields of `ModelEntry`; None for others.
    """

    name: str = ""
    revision: str = ""
    files: Mapping[str, Mark] = field(default_factory=dict)
    source: str = ""
    own: Mapping[str, bool] | None = None

    def revision_of(self, weights: str) -> str:
        """
        The revision of one file of weights.

        For a checkpoint of openai-whisper it is the file's own hash, since the folder may also hold
        files of another origin. If it was converted from those, it has their revision.
        """
        noted = self.files.get(weights)
        if noted and weights.endswith(".pt") and weights != COMPACT_FILE and not noted.made_from:
            return noted.sha256[:_SHORT_HASH]
        return self.revision


@dataclass(frozen=True)
class Checked:
    """How a model's files compare with their description; each problem is a sentence."""

    state: State
    problems: tuple[str, ...] = ()


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def mark(path: Path) -> Mark:
    """The size and hash of a file."""
    return Mark(path.stat().st_size, sha256_of(path))


def read_manifest(folder: Path) -> Manifest:
    """
    Read a folder's description; returns an empty one if there is none.

    Raises:
        ValueError: It cannot be read.
    """
    try:
        text = (folder / DESCRIPTION_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return Manifest()
    try:
        value: dict[str, Any] = json.loads(text)
        files = {
            name: Mark(int(noted["bytes"]), str(noted["sha256"]), str(noted.get("made_from", "")))
            for name, noted in value.get("files", {}).items()
        }
        own = value.get("own")
        return Manifest(
            name=str(value.get("name", "")),
            revision=str(value.get("revision", "")),
            files=files,
            source=str(value.get("source", "")),
            own=None if own is None else {key: bool(own[key]) for key in own},
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{DESCRIPTION_FILE} cannot be read: {error!r}") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write a folder's description."""
    value: dict[str, object] = {"name": manifest.name, "revision": manifest.revision}
    if manifest.source:
        value["source"] = manifest.source
    if manifest.own is not None:
        value["own"] = dict(manifest.own)
    value["files"] = as_json(manifest.files)
    text = json.dumps(value, indent=2) + "\n"
    (folder / DESCRIPTION_FILE).write_text(text, encoding="utf-8")


def as_json(files: Mapping[str, Mark]) -> dict[str, dict[str, object]]:
    """Marks as they stand in a description."""
    return {
        name: {"bytes": noted.n_bytes, "sha256": noted.sha256}
        | ({"made_from": noted.made_from} if noted.made_from else {})
        for name, noted in files.items()
    }


def describe(folder: Path, name: str, revision: str) -> None:
    """Write a description of the files that a folder holds now."""
    marks = {path.relative_to(folder).as_posix(): mark(path) for path in own_files(folder)}
    write_manifest(folder, Manifest(name, revision, marks))


def check_files(folder: Path, *, hashes: bool, missing: Sequence[str] = ()) -> Checked:
    """
    Compare a model's files with their description.

    Args:
        hashes: Whether to compare hashes too, for which the files are read; else only sizes.
        missing: The files that the folder lacks.
    """
    try:
        files = read_manifest(folder).files
    except ValueError as error:
        return Checked("damaged", (str(error),))
    wrong = [_problem(folder / name, noted, hashes=hashes) for name, noted in files.items()]
    problems = tuple(filter(None, wrong))
    if missing:
        lacks = (f"{file} is missing, without which it is of no use" for file in missing)
        return Checked("incomplete", (*lacks, *problems))
    if problems:
        return Checked("damaged", problems)
    there = [path.relative_to(folder).as_posix() for path in own_files(folder)]
    if unknown := [name for name in there if name not in files]:
        return Checked("unverified", tuple(_unknown(unknown)))
    return Checked("ok" if hashes else "complete")


def own_files(folder: Path) -> list[Path]:
    """The files of a model: all below its folder but hidden ones, `.md` and the description."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.suffix != ".md"
        and path.name != DESCRIPTION_FILE
    )


def _unknown(names: Iterable[str]) -> list[str]:
    return [
        f"{name} was put there by hand: its right size and hash are not known" for name in names
    ]


def _problem(path: Path, noted: Mark, *, hashes: bool) -> str:
    """What is wrong with a file; "" if nothing is."""
    if not path.is_file():
        return f"{path.name} is missing"
    n_bytes = path.stat().st_size
    if n_bytes != noted.n_bytes:
        return f"{path.name} has {n_bytes} bytes, not {noted.n_bytes}"
    if hashes and sha256_of(path) != noted.sha256:
        return f"{path.name} has another hash than when it was downloaded"
    return ""
