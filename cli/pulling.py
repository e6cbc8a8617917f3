"""Fetches a model and shows the progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from cli.progress import ProgressLine

if TYPE_CHECKING:
    from pathlib import Path

    from worker.models.file_set import FileSet
    from worker.models.store import ModelStore


def pull_shown(store: ModelStore, wanted: FileSet, out: TextIO) -> Path:
    """
    Fetch what is missing of a model, and show the progress on `out`.

    Returns:
        What is to be loaded of it: see `ModelStore.locate`.

    Raises:
        NotFetched: It cannot be had; `failures` has a line for each source.
    """
    with ProgressLine(out) as line:
        shown = _Shown(line, wanted.name)
        line.show(f"pulling {wanted.name}")
        return store.pull(store.files_of(wanted.kind, wanted.name), shown)


class _Shown:
    """Shows what `ReportBytes` reports, as a line."""

    def __init__(self, line: ProgressLine, name: str) -> None:
        self._line = line
        self._name = name

    def __call__(self, source: str, n_here: int, n_whole: int) -> None:
        from shared.sizes import in_words

        if n_whole:
            stage = f"pulling {self._name} from {source}, {in_words(n_whole)}:"
            self._line.show(stage, n_here / n_whole)
