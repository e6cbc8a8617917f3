"""Models fetched from where their makers keep them, each file checked before it counts."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from shared.catalogue import ModelEntry
from shared.sizes import in_words
from worker.models.manifest import describe, sha256_of

Progress = Callable[[int, int], None]
"""Takes the bytes that are here and the bytes of the whole."""

_CTRANSLATE2_FILES = (
    "config.json",
    "preprocessor_config.json",
    "model.bin",
    "tokenizer.json",
    "vocabulary.*",
)
_LOOK_S = 0.25
_SILENCE_S = 60


def fetch_ctranslate2(entry: ModelEntry, part: Path, progress: Progress) -> None:
    """Fetch from the Hugging Face hub, and check every file against what the hub says of it."""
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    disable_progress_bars()
    details = HfApi().model_info(entry.repository, files_metadata=True)
    files = [file for file in details.siblings or () if _is_wanted(file.rfilename)]
    if not any(file.rfilename == "model.bin" for file in files):
        raise ValueError(f"{entry.repository} has no model.bin")
    with _watched(part, sum(file.size or 0 for file in files), progress):
        # One after the other, in this thread: an interruption ends it at once.
        for file in files:
            hf_hub_download(entry.repository, file.rfilename, revision=details.sha, local_dir=part)
            _check(part / file.rfilename, file)
    shutil.rmtree(part / ".cache", ignore_errors=True)
    describe(part, entry.name, details.sha or "")


def fetch_checkpoint(entry: ModelEntry, part: Path, progress: Progress) -> None:
    """Fetch a checkpoint from openai-whisper's own address."""
    from whisper import _MODELS  # there is no public list of the addresses

    if entry.openai_name not in _MODELS:
        raise ValueError("openai-whisper has no such model")
    target = part / f"{entry.name}.pt"
    fetch_hashed(_MODELS[entry.openai_name], target, progress)
    describe(part, entry.name, sha256_of(target)[:12])


def fetch_hashed(url: str, target: Path, progress: Progress) -> None:
    """
    Fetch a file whose SHA-256 is the last but one part of its address.

    Raises:
        ValueError: It is not the file that the address names.
    """
    with urlopen(url, timeout=_SILENCE_S) as answer, target.open("wb") as out:
        n_bytes = int(answer.headers["Content-Length"] or 0)
        with _watched(target.parent, n_bytes, progress):
            shutil.copyfileobj(answer, out, 1 << 20)
    if n_bytes and target.stat().st_size != n_bytes:
        raise ValueError(f"{target.name} broke off at {target.stat().st_size} of {n_bytes} bytes")
    if sha256_of(target) != url.split("/")[-2]:
        raise ValueError(f"{target.name} does not have the hash in its address")


def _is_wanted(name: str) -> bool:
    return any(fnmatch(name, wanted) for wanted in _CTRANSLATE2_FILES)


def check_snapshot(folder: Path, details: Any) -> None:
    """
    Compare every file of a repository that is in a folder with what the hub says of it.

    Args:
        details: What `HfApi.model_info` gave, with `files_metadata`.

    Raises:
        ValueError: A file is not what it should be.
    """
    for file in details.siblings or ():
        if (folder / file.rfilename).is_file():
            _check(folder / file.rfilename, file)


def _check(path: Path, file: Any) -> None:
    """Compare a file with size and hash on the hub: SHA-256 of large ones, git's of others."""
    n_bytes = path.stat().st_size
    if file.size is not None and n_bytes != file.size:
        raise ValueError(f"{path.name} has {n_bytes} bytes, not {file.size}")
    if file.lfs is not None:
        is_same = sha256_of(path) == file.lfs.sha256
    else:
        is_same = file.blob_id in (None, _git_hash(path))
    if not is_same:
        raise ValueError(f"{path.name} does not have the hash the hub gives")


def _git_hash(path: Path) -> str:
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def _watched(part: Path, n_bytes: int, progress: Progress) -> Iterator[None]:
    """
    Report within the block how much of a download has arrived below `part`.

    Raises:
        OSError: There is no room for it.
    """
    free = shutil.disk_usage(part).free
    if n_bytes > free:
        raise OSError(
            f"it needs {in_words(n_bytes)} and {in_words(free)} are free in {part.parent}"
        )
    stopping = threading.Event()

    def look() -> None:
        while n_bytes and not stopping.wait(_LOOK_S):
            progress(min(_bytes_below(part), n_bytes), n_bytes)

    looking = threading.Thread(target=look, name="download", daemon=True)
    looking.start()
    try:
        yield
    finally:
        stopping.set()
        looking.join()


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # moved meanwhile
            continue
    return total
