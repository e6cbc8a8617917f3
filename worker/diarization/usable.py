"""Which diarization models a worker can run. It publishes them; others are refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from shared.catalogue import MODELS
from shared.errors import ModelNotFound
from worker.models.diarization_files import (
    CONFIG_FILE,
    LIGHT,
    PIPELINES,
    diarizer_files,
    read_config,
)
from worker.models.store import SHIPPED, ModelStore

PYANNOTE = "pyannote.audio"
_NO_LIBRARY = (
    f"its library {PYANNOTE} is not installed on this worker; install the extra `diarization`"
)


@dataclass(frozen=True)
class UsableDiarizers:
    """
    The diarization models of one worker.

    Attributes:
        names: Those that it can run: it has them, or may fetch them.
        problems: For the others that are known, why it cannot run them and how to mend it.
    """

    names: tuple[str, ...]
    problems: Mapping[str, str]


def usable_diarizers(
    store: ModelStore, site_default: str, *, has_library: bool | None = None
) -> UsableDiarizers:
    """
    Find out which diarization models can be run now, without asking any source.

    It is cheap enough to call every few seconds.

    Args:
        site_default: `WorkerSettings.diarizer`.
        has_library: Whether pyannote.audio is installed; None to find out.
    """
    if has_library is None:
        has_library = is_installed(PYANNOTE)
    problems = {name: _why_not(store, name, has_library) for name in _known(store, site_default)}
    return UsableDiarizers(
        tuple(name for name, why in problems.items() if why is None),
        {name: why for name, why in problems.items() if why is not None},
    )


def is_installed(library: str) -> bool:
    """
    Whether a library is installed, without importing it.

    >>> [is_installed(name) for name in ("wave", "no_such.library")]
    [True, False]
    """
    try:
        return find_spec(library) is not None
    except ModuleNotFoundError:  # the package it would be in is missing
        return False


def _known(store: ModelStore, site_default: str) -> dict[str, None]:
    """Names of all known models: in the catalogue, in the settings, or in a folder."""
    go_with = (entry.diarizer for entry in MODELS.values() if entry.diarizer)
    folders = (folder.name for folder in _folders(store.directory, SHIPPED))
    return dict.fromkeys((site_default, LIGHT, *PIPELINES, *go_with, *folders))


def _folders(*directories: Path) -> Iterator[Path]:
    for directory in directories:
        yield from sorted(path.parent for path in directory.glob(f"*/{CONFIG_FILE}"))


def _why_not(store: ModelStore, name: str, has_library: bool) -> str | None:
    try:
        files = diarizer_files(name)
        if why := store.why_not(files):
            return why
        if name == LIGHT:  # its libraries are always installed
            return None
        if folder := store.find(files):
            read_config(folder)  # a folder may hold something else
    except ModelNotFound as error:
        return error.message
    return None if has_library else f"diarization model {name!r}: {_NO_LIBRARY}"
