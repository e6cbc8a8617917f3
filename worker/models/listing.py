"""Lists the models of all kinds that are here, for an operator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.catalogue import MODELS, Catalogue, may_be_own
from shared.errors import ModelNotFound
from worker.engines import ENGINES
from worker.models.alignment_catalogue import BUNDLES, REPOSITORIES
from worker.models.alignment_files import AlignerFiles
from worker.models.diarization_files import LIGHT, PIPELINES, diarizer_files
from worker.models.file_set import FileSet, Kind
from worker.models.manifest import State, own_files, read_manifest
from worker.models.whisper_files import CTranslate2Files, WhisperFiles, checkpoint_in
from worker.models.whisper_models import WhisperModels

_SHIPPED_ALIGNERS = ("demo-aligner-en",)
_DIARIZERS = (LIGHT, *PIPELINES, "demo-diarization")


@dataclass(frozen=True)
class StoredModel:
    """
    A model whose folder is here.

    Attributes:
        engines: Those that can load it, if it is a Whisper model.
        n_bytes: Size of all its files.
        state: By the sizes of its files, never `ok`: hashes are not compared.
        problems: A sentence for each file that is missing or wrong.
    """

    name: str
    kind: Kind
    engines: tuple[str, ...]
    n_bytes: int
    revision: str
    where: Path
    state: State
    problems: tuple[str, ...]


def named_files(name: str, here: WhisperModels, *, may_be_new: bool = False) -> FileSet:
    """
    The files of a model by its name, of whichever kind.

    Args:
        may_be_new: Whether the name may be that of an own model that is only on the mirror yet.

    Raises:
        ModelNotFound: The name is neither in a catalogue nor that of an own model.
    """
    if name in {*REPOSITORIES, *BUNDLES, *_SHIPPED_ALIGNERS}:
        return AlignerFiles(name)
    if name in _DIARIZERS:
        return diarizer_files(name)
    # Without the site's aliases: files are stored under a model's own name.
    known = Catalogue(next(iter(MODELS))).resolve(name, here.own_names())
    if known is None and may_be_new and here.store.has_mirror and may_be_own(name):
        known = name
    if known is None:
        raise ModelNotFound(
            f"model {name!r} is not in the catalogue; it holds {', '.join(MODELS)}", param="model"
        )
    return WhisperFiles(known)


def list_models(here: WhisperModels) -> list[StoredModel]:
    """Every model whose folder is here, complete or not."""
    return [
        _stored(files, folder, here)
        for files in _all_files(here)
        if (folder := here.store.find_any(files))
    ]


def _all_files(here: WhisperModels) -> Iterator[FileSet]:
    yield from map(WhisperFiles, (*MODELS, *here.own_names()))
    yield from map(AlignerFiles, sorted({*REPOSITORIES, *BUNDLES, *_SHIPPED_ALIGNERS}))
    yield from map(diarizer_files, _DIARIZERS)


def _stored(files: FileSet, folder: Path, here: WhisperModels) -> StoredModel:
    checked = here.store.verify(files, hashes=False)
    return StoredModel(
        files.name,
        files.kind,
        tuple(_engines(files, folder)),
        sum(path.stat().st_size for path in own_files(folder)),
        _revision(files, folder, here),
        folder,
        checked.state,
        checked.problems,
    )


def _engines(files: FileSet, folder: Path) -> Iterator[str]:
    if isinstance(files, WhisperFiles):
        has_all = not CTranslate2Files(files.name).missing(folder)
        for name, engine in ENGINES.items():
            is_checkpoint = engine.weights == "checkpoint" and checkpoint_in(folder, files.name)
            if has_all or is_checkpoint:  # a checkpoint can be converted from the other form
                yield name


def _revision(files: FileSet, folder: Path, here: WhisperModels) -> str:
    if isinstance(files, WhisperFiles) and (revision := here.revision(files.name)):
        return revision
    try:
        return read_manifest(folder).revision
    except ValueError:  # `problems` says so
        return ""
