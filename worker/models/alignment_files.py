"""Which files make an aligner: the weights of a torchaudio bundle, or a folder of transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from worker.models.alignment_catalogue import BUNDLES, REPOSITORIES
from worker.models.file_set import FileSet, Kind, Origin, Repository, lacking, read_json
from worker.models.manifest import DESCRIPTION_FILE

_DESCRIBING = ("config.json", "preprocessor_config.json", "tokenizer_config.json", "vocab.json")
_WEIGHTS = ("model*.safetensors*", "pytorch_model*.bin*")
_BUNDLES_ADDRESS = "https://download.pytorch.org/torchaudio/models"


class AlignerFiles(FileSet):
    """The files of one aligner."""

    kind: ClassVar[Kind] = "aligner"
    param = "align_model"

    @property
    def origin(self) -> Origin | None:
        """See `FileSet.origin`."""
        if self.name in REPOSITORIES:
            return Origin((Repository(self.name, _DESCRIBING, either=_WEIGHTS),))
        if self.name in BUNDLES:
            return Origin(address=f"{_BUNDLES_ADDRESS}/{BUNDLES[self.name]}")
        return None

    @property
    def needs(self) -> str:
        """See `FileSet.needs`."""
        if self.name in BUNDLES:
            return BUNDLES[self.name]
        return f"{', '.join(_DESCRIBING)} and weights, as transformers saves a Wav2Vec2ForCTC"

    def missing(self, folder: Path) -> list[str]:
        """See `FileSet.missing`."""
        lacks = lacking(folder, "config.json", "vocab.json")
        has_weights = any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*.bin"))
        if not lacks and has_weights:
            return _missing_shards(folder)
        if self.name in BUNDLES:
            return [] if bundle_weights(folder) else ["*.pth"]
        return lacks + ([] if has_weights else ["model.safetensors"])


def bundle_weights(folder: Path) -> Path | None:
    """The file of weights in a torchaudio bundle's folder, or None."""
    return next((p for p in sorted(folder.glob("*.pt*")) if p.suffix in (".pt", ".pth")), None)


def description_of(folder: Path) -> dict[str, Any]:
    """What `longhand.json` says about an aligner; empty if there is none."""
    return read_json(folder / DESCRIPTION_FILE)


def _missing_shards(folder: Path) -> list[str]:
    """Files of weights that an index in the folder lists and that are not there."""
    listed: set[str] = set()
    for index in folder.glob("*.index.json"):
        listed |= set(json.loads(index.read_bytes()).get("weight_map", {}).values())
    return sorted(file for file in listed if not (folder / file).is_file())
