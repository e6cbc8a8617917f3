"""Converts weights of CTranslate2 to a checkpoint of openai-whisper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.models.conversion.ctranslate2_file import (
    NotConvertible,
    Variables,
    plain,
    read_variables,
)
from worker.models.conversion.names import SIDES, alike, joined

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HEAD_WIDTH = 64
"""The same in every Whisper; used if the file does not say how many heads there are."""

_SCALE = "_scale"


def write_checkpoint(folder: Path, target: Path) -> None:
    """
    Write a checkpoint that `whisper.load_model` reads, and the alignment heads in it.

    Every weight must be used, and every parameter of openai-whisper's network must get one.

    Args:
        folder: A model of CTranslate2, with `model.bin` and `config.json`.

    Raises:
        NotConvertible: It is not a Whisper model, or weights are left over or missing.
        ImportError: torch or openai-whisper is not installed.
    """
    import torch

    variables = read_variables(folder / "model.bin")
    try:
        state = _state_of(variables)
        checkpoint = {
            "dims": _dimensions(variables, state),
            "model_state_dict": {
                name: torch.from_numpy(values.copy()) for name, values in state.items()
            },
            "alignment_heads": _alignment_heads(folder),
        }
    except (KeyError, ValueError) as error:
        raise NotConvertible(f"model.bin is no Whisper that openai-whisper has: {error}") from error
    _check(checkpoint)
    torch.save(checkpoint, target)


def _state_of(variables: Variables) -> dict[str, NDArray[Any]]:
    import numpy as np

    n_layers = {side: _count_layers(variables, side) for side in SIDES}
    state: dict[str, NDArray[Any]] = {}
    used = {"decoder/projection/weight"}  # the same as the embedding
    for ours, theirs in alike(n_layers):
        state[theirs] = plain(variables, ours)
        used.add(ours)
    for ours, parts in joined(n_layers):
        weights = np.split(plain(variables, f"{ours}/weight"), len(parts))
        biases = np.split(variables[f"{ours}/bias"], len(parts))
        used |= {f"{ours}/weight", f"{ours}/bias"}
        for name, weight, bias in zip(parts, weights, biases, strict=True):
            state[f"{name}.weight"] = weight
            if not name.endswith(".key"):
                state[f"{name}.bias"] = bias
            elif np.any(bias):
                raise ValueError(f"{name} has a bias")
    # Variables without dimensions are settings, not weights.
    stored = [name for name, values in variables.items() if values.ndim]
    if left := [name for name in stored if name not in used and not name.endswith(_SCALE)]:
        raise ValueError(f"{left[0]} has no place in it")
    return state


def _count_layers(variables: Variables, side: str) -> int:
    n_layers = 0
    while f"{side}/layer_{n_layers}/ffn/linear_0/weight" in variables:
        n_layers += 1
    return n_layers


def _dimensions(variables: Variables, state: dict[str, NDArray[Any]]) -> dict[str, int]:
    """The fields of `whisper.model.ModelDimensions`."""
    n_audio_state = state["encoder.ln_post.weight"].shape[0]
    n_text_state = state["decoder.ln.weight"].shape[0]
    n_vocabulary, _ = state["decoder.token_embedding.weight"].shape
    return {
        "n_mels": state["encoder.conv1.weight"].shape[1],
        "n_audio_ctx": state["encoder.positional_embedding"].shape[0],
        "n_audio_state": n_audio_state,
        "n_audio_head": _count_heads(variables, "encoder", n_audio_state),
        "n_audio_layer": _count_layers(variables, "encoder"),
        "n_vocab": n_vocabulary,
        "n_text_ctx": state["decoder.positional_embedding"].shape[0],
        "n_text_state": n_text_state,
        "n_text_head": _count_heads(variables, "decoder", n_text_state),
        "n_text_layer": _count_layers(variables, "decoder"),
    }


def _count_heads(variables: Variables, side: str, width: int) -> int:
    stated = variables.get(f"{side}/num_heads")
    return width // _HEAD_WIDTH if stated is None else int(stated)


def _alignment_heads(folder: Path) -> list[list[int]] | None:
    """The heads that time words, as `[layer, head]`; None if the folder does not say."""
    value = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    heads: list[list[int]] | None = value.get("alignment_heads")
    return heads


def _check(checkpoint: dict[str, Any]) -> None:
    """Load the weights into openai-whisper's own networks, without a second copy in memory."""
    import torch
    from whisper.model import AudioEncoder, ModelDimensions, TextDecoder

    d = ModelDimensions(**checkpoint["dims"])
    with torch.device("meta"):
        networks = {
            "encoder.": AudioEncoder(
                d.n_mels, d.n_audio_ctx, d.n_audio_state, d.n_audio_head, d.n_audio_layer
            ),
            "decoder.": TextDecoder(
                d.n_vocab, d.n_text_ctx, d.n_text_state, d.n_text_head, d.n_text_layer
            ),
        }
    for side, network in networks.items():
        weights = {
            name.removeprefix(side): tensor
            for name, tensor in checkpoint["model_state_dict"].items()
            if name.startswith(side)
        }
        try:
            network.load_state_dict(weights, strict=True, assign=True)
        except RuntimeError as error:
            raise NotConvertible(f"openai-whisper does not take the weights: {error}") from error
