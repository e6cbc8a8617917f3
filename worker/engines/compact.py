"""
Compact checkpoints: Whisper weights that store the embedding of all unused tokens once.

The demo model uses a few hundred of Whisper's 51,865 tokens, so a compact checkpoint is a tenth of
the size. Expanded, it is a checkpoint that every program for Whisper can load.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

COMPACT_FILE = "compact.pt"
_EMBEDDING = "decoder.token_embedding.weight"


def expand(path: Path) -> dict[str, Any]:
    """
    Read a compact checkpoint.

    The file holds `dims`, `ids`, `model_state_dict` and `alignment_heads` as `[layer, head]` pairs.
    The embedding has `len(ids) + 1` rows: one for each of `ids`, which are Whisper's, and one for
    all other tokens.

    Returns:
        `dims`, `model_state_dict` with all `n_vocab` rows in float32, `alignment_heads`.
    """
    import torch

    stored = torch.load(path, map_location="cpu", weights_only=True)
    weights = {name: tensor.float() for name, tensor in stored["model_state_dict"].items()}
    rows, ids = weights[_EMBEDDING], torch.tensor(stored["ids"])
    full = rows[-1:].repeat(stored["dims"]["n_vocab"], 1)
    full[ids] = rows[:-1]
    weights[_EMBEDDING] = full
    return {
        "dims": stored["dims"],
        "model_state_dict": weights,
        "alignment_heads": stored["alignment_heads"],
    }
