"""Which diarization models a worker can run: what it publishes, so that others are refused."""

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
        names: Those it has, with the library that runs them, or may fetch.
        problems: Of others that are known, why it cannot run them and how to mend it.
    """

    names: tuple[str, ...]
    problems: Mapping[str, str]


def usable_diarizers(
    store: ModelStore, site_default: str, *, has_library: bool | None = None
) -> UsableDiarizers:
    """
    Look which diarization models could be run now, without asking any source.

    Cheap enough to be asked every few seconds.

    Args:
        site_default: What `WorkerSettings.diarizer` says.
        has_library: Whether what runs pyannote's is installed; None to find out.
    """
    if has_library is None:
        has_library = is_installed(PYANNOTE)
    looked_at = {name: _why_not(store, name, has_library) for name in _known(store, site_default)}
    return UsableDiarizers(
        tuple(name for name, why in looked_at.items() if why is None),
        {name: why for name, why in looked_at.items() if why is not None},
    )


def is_installed(library: str) -> bool:
    """
    Whether a library is here, without importing it.

    >>> [is_installed(name) for name in ("wave", "no_such.library")]
    [True, False]
    """
    try:
        return find_spec(library) is not None
    except ModuleNotFoundError:  # of the package it would be in
        return False


def _known(store: ModelStore, site_default: str) -> dict[str, None]:
    """The catalogue's, those that go with a model, the site's own, and what lies in folders."""
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
        if name == LIGHT:  # what runs it is always here
            return None
        if folder := store.find(files):
            read_config(folder)  # a folder may hold something else altogether
    except ModelNotFound as error:
        return error.message
    return None if has_library else f"diarization model {name!r}: {_NO_LIBRARY}"
