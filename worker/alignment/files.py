"""From an aligner's name to its folder: shipped with Longhand, put there by hand, or fetched."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

from shared.errors import ModelNotFound
from worker.alignment.catalogue import BUNDLES, REPOSITORIES, folder_of
from worker.models.download import check_snapshot
from worker.models.files import SHIPPED, alone, move_in
from worker.models.manifest import DESCRIPTION_FILE, describe

_DESCRIBING = ["config.json", "preprocessor_config.json", "tokenizer_config.json", "vocab.json"]
_PATIENCE_S = 10.0
"""Longest wait for the hub to say what a repository holds: without a network, that fails first."""

_log = logging.getLogger(__name__)


class AlignerFiles:
    """
    Where aligners lie, and how a missing one gets there.

    Args:
        models_dir: Folders named after aligners; `/` of a repository is `--` there.
        downloads: Whether a missing aligner of the catalogue may be fetched.
    """

    def __init__(self, models_dir: Path, *, downloads: bool) -> None:
        self._models_dir = models_dir
        self._downloads = downloads

    def locate(self, name: str) -> Path:
        """
        The folder of an aligner; downloads it first if that is allowed.

        Raises:
            ModelNotFound: It is not here and cannot be fetched.
        """
        found = self.find(name)
        if found is None:
            self._fetch(name)
            found = self.find(name)
        if found is None:
            raise ModelNotFound(f"aligner {name!r} came without weights; {_remedy(name)}")
        return found

    def find(self, name: str) -> Path | None:
        """The folder of an aligner that needs no download, or None."""
        for parent in (self._models_dir, SHIPPED):
            folder = parent / folder_of(name)
            if folder.parent == parent and is_whole(folder, name):
                return folder
        return None

    def _fetch(self, name: str) -> None:
        if not self._downloads:
            raise ModelNotFound(
                f"aligner {name!r} is not on this worker and LONGHAND_DOWNLOADS is off; "
                f"{_remedy(name)}, or set LONGHAND_DOWNLOADS=true",
                param="align_model",
            )
        if name not in BUNDLES | REPOSITORIES:
            raise ModelNotFound(
                f"aligner {name!r} is not on this worker, nor in the catalogue to be downloaded; "
                f"{_remedy(name)}",
                param="align_model",
            )
        folder = self._models_dir / folder_of(name)
        try:
            with alone(folder) as part:
                if self.find(name) is None:
                    _download(name, part)
                    move_in(part, folder)
        except Exception as error:
            raise ModelNotFound(
                f"aligner {name!r} could not be downloaded ({error}); {_remedy(name)}",
                param="align_model",
            ) from error


def is_whole(folder: Path, name: str) -> bool:
    """Whether a folder holds an aligner: a torchaudio bundle's weights, or `save_pretrained`'s."""
    if (folder / "config.json").is_file() and (folder / "vocab.json").is_file():
        return any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*.bin"))
    return name in BUNDLES and bundle_weights(folder) is not None


def bundle_weights(folder: Path) -> Path | None:
    """The file of a torchaudio bundle's weights in its folder."""
    return next((p for p in sorted(folder.glob("*.pt*")) if p.suffix in (".pt", ".pth")), None)


def description_of(folder: Path) -> dict[str, Any]:
    """What `longhand.json` says of an aligner; empty where nobody wrote one."""
    path = folder / DESCRIPTION_FILE
    found: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return found


def _remedy(name: str) -> str:
    form = "its torchaudio weights" if name in BUNDLES else "a Wav2Vec2ForCTC as transformers saves"
    return f"put {form} into the folder {folder_of(name)!r} below LONGHAND_MODELS_DIR"


def _download(name: str, part: Path) -> None:
    _log.info("downloading aligner %s", name)
    part.mkdir()
    if name in BUNDLES:
        _download_bundle(name, part)
    else:
        _download_repository(name, part)


def _download_bundle(name: str, part: Path) -> None:
    import torchaudio

    # The loaded model itself is not kept: this is how torchaudio says where its weights are.
    getattr(torchaudio.pipelines, name).get_model(
        dl_kwargs={"model_dir": str(part), "progress": False}
    )


def _download_repository(name: str, part: Path) -> None:
    from huggingface_hub import HfApi, snapshot_download

    details = HfApi().model_info(name, timeout=_PATIENCE_S, files_metadata=True)
    names = [file.rfilename for file in details.siblings or []]
    is_safe = any(file.endswith(".safetensors") for file in names)
    weights = "model*.safetensors*" if is_safe else "pytorch_model*.bin*"
    snapshot_download(
        name, revision=details.sha, local_dir=part, allow_patterns=[*_DESCRIBING, weights]
    )
    check_snapshot(part, details)
    shutil.rmtree(part / ".cache", ignore_errors=True)
    describe(part, name, details.sha or "")
