"""From a model's name to its files: shipped with Longhand, put there by hand, or fetched."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any

from shared.catalogue import MODELS, ModelEntry
from shared.errors import ModelNotFound
from shared.settings import CHECKOUT
from worker.models.compact import COMPACT_FILE

DESCRIPTION_FILE = "longhand.json"
SHIPPED = CHECKOUT / "models"
_CTRANSLATE2_FILES = [
    "config.json",
    "preprocessor_config.json",
    "model.bin",
    "tokenizer.json",
    "vocabulary.*",
]

_log = logging.getLogger(__name__)


class ModelFiles:
    """
    The model directories of one worker.

    Args:
        directory: Where folders named after models lie and downloads land.
        engine: Which engine is to read them.
        downloads: Whether a missing model may be fetched.
    """

    def __init__(self, directory: Path, engine: str, *, downloads: bool) -> None:
        self._directory = directory
        self._engine = engine
        self._downloads = downloads

    def local_names(self) -> list[str]:
        """Models of the catalogue that need no download."""
        return [name for name in MODELS if self._find(name)]

    def locate(self, name: str) -> Path:
        """
        Where the engine finds a model; downloads it first if that is allowed.

        Raises:
            ModelNotFound: It is not here and cannot be fetched.
        """
        path = self._find(name)
        if path is None:
            self._fetch(MODELS[name])
            path = self._find(name)
        if path is None:
            raise ModelNotFound(
                f"model {name!r} has no files for the engine {self._engine}", param="model"
            )
        return path

    def revision(self, name: str) -> str:
        """What names the very weights: a hash, a commit, or "" where nobody wrote it down."""
        for directory in (self._directory, SHIPPED):
            path = directory / name / DESCRIPTION_FILE
            if path.is_file():
                description: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                return str(description.get("revision", ""))
        return ""

    def _find(self, name: str) -> Path | None:
        for folder in (self._directory / name, SHIPPED / name):
            if self._engine == "faster_whisper" and (folder / "model.bin").is_file():
                return folder
            if self._engine == "openai_whisper":
                if (folder / COMPACT_FILE).is_file():
                    return folder
                if (folder / f"{name}.pt").is_file():
                    return folder / f"{name}.pt"
        return None

    def _fetch(self, entry: ModelEntry) -> None:
        where = f"put its files into {entry.name!r} below LONGHAND_MODELS_DIR"
        if not self._downloads:
            raise ModelNotFound(
                f"model {entry.name!r} is not on this worker and LONGHAND_DOWNLOADS is off; "
                f"{where}",
                param="model",
            )
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with (self._directory / f".{entry.name}.lock").open("w") as lock:
                # Of several workers with one directory one downloads and the others wait for it.
                fcntl.flock(lock, fcntl.LOCK_EX)
                if self._find(entry.name) is None:
                    self._download(entry)
        except Exception as error:
            raise ModelNotFound(
                f"model {entry.name!r} could not be downloaded ({error}); {where}", param="model"
            ) from error

    def _download(self, entry: ModelEntry) -> None:
        _log.info("downloading model %s", entry.name)
        part = self._directory / f".{entry.name}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            if self._engine == "openai_whisper":
                _download_openai(entry, part)
            else:
                _download_ctranslate2(entry, part)
            move_in(part, self._directory / entry.name)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def move_in(part: Path, folder: Path) -> None:
    """
    Let a whole download appear under its name.

    Another engine's files may lie there already: they stay, and the weights,
    by which a model is found, come last.
    """
    if not folder.exists():
        part.replace(folder)
        return
    for path in sorted(part.iterdir(), key=lambda path: path.suffix in (".bin", ".pt")):
        path.replace(folder / path.name)


def _download_ctranslate2(entry: ModelEntry, part: Path) -> None:
    """Fetch from the Hugging Face hub and check every file against the size and hash it gives."""
    from huggingface_hub import HfApi, snapshot_download

    details = HfApi().model_info(entry.repository, files_metadata=True)
    snapshot_download(
        entry.repository,
        revision=details.sha,
        local_dir=part,
        allow_patterns=_CTRANSLATE2_FILES,
    )
    for file in details.siblings or []:
        path = part / file.rfilename
        if not path.is_file():
            continue
        if file.size is not None and path.stat().st_size != file.size:
            raise ValueError(f"{file.rfilename} is {path.stat().st_size} bytes, not {file.size}")
        if file.lfs is not None and _sha256(path) != file.lfs.sha256:
            raise ValueError(f"{file.rfilename} does not have the hash the hub gives")
    shutil.rmtree(part / ".cache", ignore_errors=True)
    _describe(part, entry.name, details.sha or "")


def _download_openai(entry: ModelEntry, part: Path) -> None:
    """Fetch with openai-whisper's own code, which checks the hash it knows."""
    import whisper

    if not entry.openai_name:
        raise ValueError("openai-whisper has no such model")
    # `load_model` downloads to `{name}.pt` and verifies it; the loaded model itself is not kept.
    whisper.load_model(entry.openai_name, device="cpu", download_root=str(part))
    _describe(part, entry.name, _sha256(part / f"{entry.openai_name}.pt")[:12])


def _describe(directory: Path, name: str, revision: str) -> None:
    text = json.dumps({"name": name, "revision": revision})
    (directory / DESCRIPTION_FILE).write_text(text, encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
