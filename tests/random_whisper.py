"""Whisper checkpoints made on the spot, as each engine reads them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.settings import CHECKOUT
from worker.engines import ENGINES
from worker.models.conversion.to_ctranslate2 import convert_checkpoint

N_VOCABULARY, N_POSITIONS, END = 51_865, 448, 50_257


@dataclass(frozen=True)
class Size:
    """How large a model is: its width, heads and layers, of encoder and decoder alike."""

    width: int
    n_heads: int
    n_layers: int


SMALL, TINY = Size(64, 2, 2), Size(384, 6, 4)
"""The smallest that works, and that of Whisper's `tiny`."""


def write_random(path: Path, seed: int = 0, *, size: Size = SMALL) -> None:
    """
    Write an openai-whisper checkpoint of random weights.

    What it writes is noise, but noise that hangs by everything a text is made of: the sound, the
    tokens before it, the rules of the search. Whatever changes one of them changes the tokens.
    """
    import torch
    from whisper.model import ModelDimensions, Whisper

    draw = torch.Generator().manual_seed(seed)
    shape = (size.width, size.n_heads, size.n_layers)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # whisper draws the biases itself
        model = Whisper(ModelDimensions(80, 1500, *shape, N_VOCABULARY, N_POSITIONS, *shape))
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights.normal_(0, 1.6 * weights[0].numel() ** -0.5, generator=draw)
        # Positions larger than tokens: otherwise one token is written over and over.
        model.decoder.token_embedding.weight.normal_(0, 0.2, generator=draw)
        model.decoder.positional_embedding.normal_(0, 0.5, generator=draw)
        # Now and then the likeliest of all: texts of a dozen tokens.
        model.decoder.token_embedding.weight[END] *= 2.0
    weights = {name: tensor.half() for name, tensor in model.state_dict().items()}
    torch.save({"dims": vars(model.dims), "model_state_dict": weights}, path)


def for_engines(checkpoint: Path, folder: Path) -> Mapping[str, Path]:
    """By the name of an engine, where it finds a checkpoint; converted below `folder`."""
    converted = folder / "ctranslate2"
    converted.mkdir(parents=True)
    convert_checkpoint(checkpoint, converted)
    reads = {"ctranslate2": converted, "checkpoint": checkpoint}
    return {name: reads[engine.weights] for name, engine in ENGINES.items()}


def add_tiny(folder: Path) -> Path:
    """A folder of models below `folder`: those that ship, and a random `tiny`, which translates."""
    models = folder / "models"
    models.mkdir()
    for path in (CHECKOUT / "models").iterdir():
        if path.is_dir():
            (models / path.name).symlink_to(path, target_is_directory=True)
    write_random(folder / "tiny.pt")
    made = for_engines(folder / "tiny.pt", folder / "converted")["faster_whisper"]
    shutil.copytree(made, models / "tiny")
    return models
