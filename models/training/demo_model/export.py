"""
Write a trained state as the model directory Longhand ships.

    python -m models.training.demo_model.export STATE_DIRECTORY models/demo
    python -m models.training.demo_model.export --expand models/demo demo.pt

The first form needs `transformers` (extra `diarization` brings it) to make the
CTranslate2 folder; the second gives the full checkpoint for `whisper.load_model`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import whisper
from tokenizers import AddedToken
from whisper.tokenizer import LANGUAGES

from models.training.demo_model.train import DIMENSIONS, GUIDED_LAYERS
from models.training.demo_model.vocabulary import N_TIMESTAMPS, N_VOCABULARY, TOKENIZER
from worker.engines.compact import COMPACT_FILE, expand
from worker.models.manifest import DESCRIPTION_FILE, as_json, mark, own_files

N_LANGUAGES = 99

# Whisper's parameter names to those of transformers; order matters.
_RENAMED = (
    ("blocks", "layers"),
    ("mlp.0", "fc1"),
    ("mlp.2", "fc2"),
    ("mlp_ln", "final_layer_norm"),
    (".cross_attn_ln", ".encoder_attn_layer_norm"),
    (".attn_ln", ".self_attn_layer_norm"),
    (".cross_attn.query", ".encoder_attn.q_proj"),
    (".cross_attn.key", ".encoder_attn.k_proj"),
    (".cross_attn.value", ".encoder_attn.v_proj"),
    (".cross_attn.out", ".encoder_attn.out_proj"),
    (".attn.query", ".self_attn.q_proj"),
    (".attn.key", ".self_attn.k_proj"),
    (".attn.value", ".self_attn.v_proj"),
    (".attn.out", ".self_attn.out_proj"),
    ("decoder.ln.", "decoder.layer_norm."),
    ("encoder.ln_post.", "encoder.layer_norm."),
    ("token_embedding", "embed_tokens"),
    ("encoder.positional_embedding", "encoder.embed_positions.weight"),
    ("decoder.positional_embedding", "decoder.embed_positions.weight"),
)


def write_compact(state: dict[str, Any], path: Path) -> None:
    """Write the averaged weights in half precision, unused tokens' rows once."""
    weights = {
        name.removeprefix("whisper."): tensor.half()
        for name, tensor in state["average"].items()
        if name.startswith("whisper.")
    }
    torch.save(
        {
            "dims": {**asdict(DIMENSIONS), "n_vocab": N_VOCABULARY},
            "model_state_dict": weights,
            "ids": state["ids"],
            "alignment_heads": [[layer, 0] for layer in GUIDED_LAYERS],
        },
        path,
    )


def _split(ranks: dict[bytes, int], token: bytes, below: int) -> list[bytes]:
    """The pair a token was merged from: byte-pair encoding with the ranks before its own."""
    parts = [bytes([byte]) for byte in token]
    while True:
        pairs = [(ranks.get(a + b, below), i) for i, (a, b) in enumerate(pairwise(parts))]
        rank, i = min(pairs, default=(below, 0))
        if rank >= below:
            return parts
        parts[i : i + 2] = [parts[i] + parts[i + 1]]


def write_tokenizer(directory: Path) -> None:
    """Build `tokenizer.json` and `preprocessor_config.json` from openai-whisper's own ranks."""
    from transformers import WhisperFeatureExtractor, WhisperTokenizerFast
    from transformers.models.gpt2.tokenization_gpt2 import bytes_to_unicode

    asset = Path(whisper.__file__).parent / "assets" / "multilingual.tiktoken"
    lines = (line.split() for line in asset.read_text().splitlines() if line.strip())
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    letters = bytes_to_unicode()
    vocabulary, merges = {}, []
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        vocabulary["".join(letters[b] for b in token)] = rank
        if len(token) > 1:
            pair = ("".join(letters[b] for b in part) for part in _split(ranks, token, rank))
            merges.append(" ".join(pair))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
        text = "\n".join(["#version: 0.2", *merges, ""])
        (Path(folder) / "merges.txt").write_text(text, encoding="utf-8")
        end = "<|endoftext|>"
        tokenizer = WhisperTokenizerFast(
            vocab_file=f"{folder}/vocab.json",
            merges_file=f"{folder}/merges.txt",
            unk_token=end,
            bos_token=end,
            eos_token=end,
            pad_token=end,
            additional_special_tokens=_special_tokens(),
        )
    stamps = (f"<|{i * 0.02:.2f}|>" for i in range(N_TIMESTAMPS))
    tokenizer.add_tokens([AddedToken(s, normalized=False, special=False) for s in stamps])
    tokenizer.save_pretrained(directory)
    WhisperFeatureExtractor(feature_size=DIMENSIONS.n_mels).save_pretrained(directory)


def _special_tokens() -> list[str]:
    languages = [f"<|{code}|>" for code in list(LANGUAGES)[:N_LANGUAGES]]
    after = "translate transcribe startoflm startofprev nospeech notimestamps".split()
    return ["<|startoftranscript|>", *languages, *(f"<|{name}|>" for name in after)]


def write_transformers(checkpoint: dict[str, Any], directory: Path) -> None:
    """
    Write a checkpoint as transformers stores Whisper, the form the converter reads.

    Args:
        checkpoint: As `worker.engines.compact.expand` gives it.
    """
    from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

    dims, t = checkpoint["dims"], TOKENIZER
    end = t.eot
    config = WhisperConfig(
        vocab_size=dims["n_vocab"],
        num_mel_bins=dims["n_mels"],
        d_model=dims["n_audio_state"],
        encoder_layers=dims["n_audio_layer"],
        encoder_attention_heads=dims["n_audio_head"],
        encoder_ffn_dim=4 * dims["n_audio_state"],
        decoder_layers=dims["n_text_layer"],
        decoder_attention_heads=dims["n_text_head"],
        decoder_ffn_dim=4 * dims["n_text_state"],
        max_source_positions=dims["n_audio_ctx"],
        max_target_positions=dims["n_text_ctx"],
        dropout=0.0,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=t.sot,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    model = WhisperForConditionalGeneration(config)
    weights = {_rename(name): value for name, value in checkpoint["model_state_dict"].items()}
    missing, unexpected = model.model.load_state_dict(weights, strict=False)
    assert not missing and not unexpected, (missing, unexpected)
    model.tie_weights()
    silenced = set(t.non_speech_tokens)
    silenced |= {t.transcribe, t.translate, t.sot, t.sot_prev, t.sot_lm, t.no_speech}
    codes = list(LANGUAGES)[:N_LANGUAGES]
    model.generation_config = GenerationConfig(
        alignment_heads=checkpoint["alignment_heads"],
        begin_suppress_tokens=[t.encode(" ")[0], end],
        suppress_tokens=sorted(silenced),
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=t.sot,
        is_multilingual=True,
        lang_to_id={f"<|{code}|>": t.to_language_token(code) for code in codes},
        task_to_id={"transcribe": t.transcribe, "translate": t.translate},
        no_timestamps_token_id=t.no_timestamps,
        prev_sot_token_id=t.sot_prev,
        max_initial_timestamp_index=50,
        max_length=dims["n_text_ctx"],
        return_timestamps=False,
    )
    model.save_pretrained(directory, safe_serialization=True)


def _rename(name: str) -> str:
    for old, new in _RENAMED:
        name = name.replace(old, new)
    return name


def convert(source: Path, directory: Path) -> None:
    """
    Convert to CTranslate2 in half precision, which loses nothing of half-precision weights.

    Args:
        source: As `write_transformers` leaves it, with the tokenizer's files beside the weights.
    """
    from ctranslate2.converters import TransformersConverter

    copied = ["tokenizer.json", "preprocessor_config.json"]
    converter = TransformersConverter(str(source), copy_files=copied)
    converter.convert(str(directory), quantization="float16", force=True)


def revision_of(files: Iterable[Path]) -> str:
    """Twelve digits of a hash over the weights, which name this very model."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def export(state_path: Path, directory: Path) -> None:
    """Write compact checkpoint, CTranslate2 folder and description into `directory`."""
    state = torch.load(state_path, map_location="cpu", weights_only=True)
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        source, converted = Path(folder) / "transformers", Path(folder) / "ctranslate2"
        source.mkdir()
        write_compact(state, directory / COMPACT_FILE)
        write_tokenizer(source)
        write_transformers(expand(directory / COMPACT_FILE), source)
        convert(source, converted)
        for path in converted.iterdir():
            shutil.copyfile(path, directory / path.name)
    revision = revision_of([directory / "model.bin", directory / COMPACT_FILE])
    description = {
        "name": "demo",
        "revision": revision,
        "trained_steps": state["step"],
        "trained_minutes": round(state["elapsed_s"] / 60),
        "files": as_json({path.name: mark(path) for path in own_files(directory)}),
    }
    text = json.dumps(description, indent=2) + "\n"
    (directory / DESCRIPTION_FILE).write_text(text, encoding="utf-8")
    print(f"{directory}: revision {revision}, {state['step']} steps")


def main() -> None:
    """Export a state, or expand a compact checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--expand", action="store_true", help="write the file Whisper loads")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    if arguments.expand:
        checkpoint = expand(arguments.source / COMPACT_FILE)
        kept = {name: checkpoint[name] for name in ("dims", "model_state_dict")}
        torch.save(kept, arguments.target)
        return
    export(arguments.source / "state.pt", arguments.target)


if __name__ == "__main__":
    main()
