"""A Whisper model of the size of `tiny` with random weights: the same work without a download."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import torch
from whisper.model import ModelDimensions, Whisper

from models.training.demo_model.export import convert, write_transformers
from shared.settings import CHECKOUT

TINY = ModelDimensions(
    n_mels=80, n_audio_ctx=1500, n_audio_state=384, n_audio_head=6, n_audio_layer=4,
    n_vocab=51_865, n_text_ctx=448, n_text_state=384, n_text_head=6, n_text_layer=4,
)  # fmt: skip


def write_random_tiny(models_dir: Path, seed: int = 0) -> None:
    """Write the folder `tiny` below `models_dir`, as CTranslate2 reads it."""
    heads = [[layer, head] for layer in (2, 3) for head in range(TINY.n_text_head)]
    checkpoint = {
        "dims": vars(TINY),
        "model_state_dict": _random_weights(seed),
        "alignment_heads": heads,
    }
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "transformers"
        source.mkdir()
        for name in ("tokenizer.json", "preprocessor_config.json"):  # of the same vocabulary
            shutil.copyfile(CHECKOUT / "models" / "demo" / name, source / name)
        write_transformers(checkpoint, source)
        convert(source, models_dir / "tiny")


def _random_weights(seed: int) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    model = Whisper(TINY)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights.normal_(0, 1.6 * weights[0].numel() ** -0.5, generator=draw)
        # Positions get larger values than tokens. Otherwise one token is written over and over, and
        # Longhand cuts such a loop.
        model.decoder.token_embedding.weight.normal_(0, 0.02, generator=draw)
        model.decoder.positional_embedding.normal_(0, 5.0, generator=draw)
    return model.state_dict()
