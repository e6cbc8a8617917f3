"""Checks what a worker on this machine needs: engine, device, models, disks."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.catalogue import MODELS
from shared.errors import EngineFailed, LonghandError
from shared.phrase_book import PHRASE_BOOK, WARNING
from shared.sizes import in_words
from worker.diarization.usable import PYANNOTE, is_installed
from worker.engines import check_installed
from worker.models.diarization_files import LIGHT
from worker.models.listing import named_files
from worker.models.whisper_models import WhisperModels
from worker.processes.devices import best_device, choose_compute_type
from worker.settings import WorkerSettings

_LEAST_FREE_BYTES = 1_000_000_000
_DEFAULT = "LONGHAND_DEFAULT_MODEL"


@dataclass(frozen=True)
class Finding:
    """
    One sentence for an operator.

    Attributes:
        is_problem: Whether jobs will fail because of it.
    """

    sentence: str
    is_problem: bool = True


def find_in_worker(settings: WorkerSettings) -> list[Finding]:
    """All findings; those that concern every job come first."""
    return [
        *_of_engine(settings),
        *_of_default_model(settings),
        *_of_disks(settings),
        *_of_speakers(settings),
    ]


def _of_engine(settings: WorkerSettings) -> Iterator[Finding]:
    try:
        check_installed(settings.engine)
        device = best_device(settings.device)
        choose_compute_type(settings.engine, settings.compute_type, device)
    except EngineFailed as error:
        yield Finding(str(error))
    except ImportError as error:
        yield Finding(f"LONGHAND_ENGINE: {error}; install the extra `worker`")


def _of_default_model(settings: WorkerSettings) -> Iterator[Finding]:
    files = WhisperModels.of(settings)
    name = settings.catalogue.resolve(None)
    if name is None:  # the check of the settings says so
        return
    if name == PHRASE_BOOK:
        yield Finding(f"{_DEFAULT}: {WARNING}", is_problem=False)
    if name in files.local_revisions():
        return
    known = [*MODELS, *files.own_names()]
    if name not in known and not files.store.has_mirror:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        yield Finding(
            f"{_DEFAULT} is {name!r}, which no catalogue knows and no folder of "
            f"{settings.models_dir} holds; {hint}`./longhand models add {name} PATH` adds your own"
        )
        return
    wanted = named_files(name, files, may_be_new=True)
    pull = f"`./longhand models pull {name}`"
    if folder := files.store.find_any(wanted):
        lacks = ", ".join(wanted.missing(folder))
        yield Finding(f"{_DEFAULT}: {folder} lacks {lacks}; {pull} completes it")
    elif settings.downloads:
        yield Finding(
            f"{_DEFAULT}: {name} is not in {settings.models_dir} yet; a worker fetches it "
            f"before it takes jobs, {pull} does so now",
            is_problem=False,
        )
    else:
        yield Finding(
            f"{_DEFAULT}: {name} is not in {settings.models_dir}, and LONGHAND_DOWNLOADS is off; "
            f"{pull} fetches it"
        )


def _of_disks(settings: WorkerSettings) -> Iterator[Finding]:
    for variable, folder in {
        "LONGHAND_STORAGE_DIR": settings.storage_dir,
        "LONGHAND_SCRATCH_DIR": settings.scratch_dir,
        "LONGHAND_MODELS_DIR": settings.models_dir,
    }.items():
        there = _existing(folder.absolute())
        n_free = shutil.disk_usage(there).free
        if n_free < _LEAST_FREE_BYTES:
            yield Finding(
                f"{variable}: {in_words(n_free)} are free at {there}; make room, or name another"
            )


def _existing(folder: Path) -> Path:
    return next(each for each in (folder, *folder.parents) if each.exists())


def _of_speakers(settings: WorkerSettings) -> Iterator[Finding]:
    name = settings.diarizer
    if name != LIGHT and not is_installed(PYANNOTE):
        yield Finding(
            f"LONGHAND_DIARIZATION_MODEL is {name!r}, and the extra `diarization` is not "
            f"installed; {LIGHT!r} does not need it",
            is_problem=False,
        )
        return
    files = WhisperModels.of(settings)
    try:
        wanted = named_files(name, files)
    except LonghandError:
        yield Finding(
            f"LONGHAND_DIARIZATION_MODEL: {name!r} is not here; `./longhand models` lists what is"
        )
        return
    if files.store.find(wanted) is None:
        is_gated = bool(wanted.origin and any(r.is_gated for r in wanted.origin.repositories))
        token = (
            ", with the LONGHAND_HF_TOKEN of an account that accepted its conditions"
            if is_gated
            else ""
        )
        yield Finding(
            f"speakers cannot be told apart yet: {name} is not here; "
            f"`./longhand models pull {name}` fetches it{token}",
            is_problem=False,
        )
