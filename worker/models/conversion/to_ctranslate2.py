"""Converts weights of openai-whisper and of transformers to a folder of CTranslate2."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.audio.constants import SECONDS_PER_TIME_TOKEN
from worker.models.conversion.ctranslate2_file import NotConvertible
from worker.models.conversion.names import alike, joined, of_transformers
from worker.models.conversion.vocabulary import (
    SIZES,
    TOKENIZER_FILE,
    make_tokenizer,
    whisper_tokenizer,
)
from worker.models.file_set import read_json

if TYPE_CHECKING:
    from ctranslate2.specs import WhisperSpec
    from tokenizers import Tokenizer

_STORED_AS = "float16"
"""As in all models of the catalogue; engines compute in the format of LONGHAND_COMPUTE_TYPE."""

_TRANSFORMERS_DIMENSIONS = {
    "n_mels": "num_mel_bins",
    "n_audio_state": "d_model",
    "n_audio_head": "encoder_attention_heads",
    "n_audio_layer": "encoder_layers",
    "n_vocab": "vocab_size",
    "n_text_head": "decoder_attention_heads",
    "n_text_layer": "decoder_layers",
}
"""The names of dimensions in openai-whisper, with those in transformers."""

_Broken = (KeyError, OSError, RuntimeError, TypeError, ValueError, pickle.UnpicklingError)


@dataclass(frozen=True)
class _Whisper:
    """
    A model with openai-whisper's names.

    Attributes:
        heads: The heads that time words, as `[layer, head]`; None if they are not known.
    """

    dims: Mapping[str, int]
    state: Mapping[str, Any]
    heads: list[list[int]] | None
    tokenizer: Tokenizer


def convert_checkpoint(path: Path, folder: Path, *, stored_as: str = _STORED_AS) -> None:
    """
    Convert a checkpoint of openai-whisper.

    Args:
        stored_as: The number format, as CTranslate2 names it.

    Raises:
        NotConvertible: It is not such a checkpoint.
        ImportError: torch or openai-whisper is not installed.
    """
    import torch

    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        dims = stored["dims"]
        tokenizer = make_tokenizer(_known_size(dims["n_vocab"]))
        heads = stored.get("alignment_heads")
        _write(_Whisper(dims, stored["model_state_dict"], heads, tokenizer), folder, stored_as)
    except _Broken as error:
        raise NotConvertible(
            f"{path.name} is no checkpoint of openai-whisper: {error!r}"
        ) from error


def convert_transformers(source: Path, folder: Path) -> None:
    """
    Convert a folder of transformers.

    Raises:
        NotConvertible: It holds no Whisper model.
        ImportError: torch, safetensors or openai-whisper is not installed.
    """
    from safetensors.torch import load_file
    from tokenizers import Tokenizer

    try:
        config = read_json(source / "config.json")
        dims = {ours: int(config[theirs]) for ours, theirs in _TRANSFORMERS_DIMENSIONS.items()}
        weights = {
            of_transformers(name): tensor
            for path in sorted(source.glob("*.safetensors"))
            for name, tensor in load_file(path).items()
        }
        n_vocabulary = _known_size(dims["n_vocab"])
        own = source / TOKENIZER_FILE
        tokenizer = Tokenizer.from_file(str(own)) if own.is_file() else make_tokenizer(n_vocabulary)
        heads = read_json(source / "generation_config.json").get("alignment_heads")
        _write(_Whisper(dims, weights, heads, tokenizer), folder, _STORED_AS)
    except _Broken as error:
        raise NotConvertible(f"{source} holds no Whisper of transformers: {error!r}") from error


def _write(whisper: _Whisper, folder: Path, stored_as: str) -> None:
    from ctranslate2.specs import WhisperSpec

    dims = whisper.dims
    n_layers = {"encoder": dims["n_audio_layer"], "decoder": dims["n_text_layer"]}
    spec = WhisperSpec(
        n_layers["encoder"], dims["n_audio_head"], n_layers["decoder"], dims["n_text_head"]
    )
    weights = _joined(whisper.state, n_layers)
    spec._visit(lambda layer, name, value: _fill(layer, name, weights))
    _describe(spec, whisper)
    spec.validate()
    spec.optimize(stored_as)
    spec.save(str(folder))
    whisper.tokenizer.save(str(folder / TOKENIZER_FILE))


def _joined(state: Mapping[str, Any], n_layers: dict[str, int]) -> dict[str, Any]:
    """The weights by CTranslate2's names; bfloat16, which numpy lacks, becomes float32."""
    import torch

    weights = {ours: state[theirs] for ours, theirs in alike(n_layers)}
    for ours, parts in joined(n_layers):
        matrices = [state[f"{part}.weight"] for part in parts]
        weights[f"{ours}/weight"] = torch.cat(matrices)
        weights[f"{ours}/bias"] = torch.cat(
            [
                # Whisper's keys have no bias.
                state.get(f"{part}.bias", torch.zeros(len(matrix), dtype=matrix.dtype))
                for part, matrix in zip(parts, matrices, strict=True)
            ]
        )
    weights["decoder/projection/weight"] = weights["decoder/embeddings/weight"]
    return {
        name: (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
        for name, tensor in weights.items()
    }


def _fill(layer: Any, name: str, weights: Mapping[str, Any]) -> None:
    if name in weights:
        setattr(layer, name.rpartition("/")[2], weights[name])


def _describe(spec: WhisperSpec, whisper: _Whisper) -> None:
    """Add the vocabulary, and the settings that CTranslate2 needs."""
    dims, named = whisper.dims, whisper.tokenizer
    t = whisper_tokenizer(dims["n_vocab"])
    tokens = [named.id_to_token(number) for number in range(dims["n_vocab"])]
    # A tokenizer may lack the timestamps, which come last. One token is empty.
    stamps = [
        f"<|{n * SECONDS_PER_TIME_TOKEN:.2f}|>" for n in range(-t.timestamp_begin, len(tokens))
    ]
    spec.register_vocabulary(
        [stamp if token is None else token for token, stamp in zip(tokens, stamps, strict=False)]
    )
    silent = {t.transcribe, t.translate, t.sot, t.sot_prev, t.sot_lm, t.no_speech}
    spec.config.suppress_ids = sorted({*t.non_speech_tokens, *silent})
    spec.config.suppress_ids_begin = [*t.encode(" "), t.eot]
    spec.config.lang_ids = sorted(t.all_language_tokens)
    spec.config.alignment_heads = whisper.heads or [
        [layer, head]
        for layer in range(dims["n_text_layer"] // 2, dims["n_text_layer"])
        for head in range(dims["n_text_head"])
    ]


def _known_size(n_vocabulary: int) -> int:
    if n_vocabulary not in SIZES:
        raise ValueError(f"{n_vocabulary} tokens; Whispers have {', '.join(map(str, SIZES))}")
    return n_vocabulary
