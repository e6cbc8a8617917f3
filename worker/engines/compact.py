"""
Compact checkpoints: Whisper weights in which the rows of unused tokens are stored once.

A model trained on a phrase-book uses a few hundred of Whisper's 51,865 tokens.
Stored compactly it is a tenth of the size; expanded it is a checkpoint every
program that loads Whisper loads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

COMPACT_FILE = "compact.pt"
_EMBEDDING = "decoder.token_embedding.weight"


def expand(path: Path) -> dict[str, Any]:
    """
    Read a compact checkpoint.

    The file holds `dims`, `model_state_dict` with an embedding of
    `len(ids) + 1` rows, the Whisper ids of all rows but the last, which stands
    for every other token, and `alignment_heads` as `[layer, head]` pairs.

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
