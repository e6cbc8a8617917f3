"""A Whisper whose weights are set by hand, so that it writes down one given text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whisper.tokenizer import Tokenizer

N_VOCABULARY, N_LANGUAGES = 51_865, 99
N_POSITIONS, WIDTH = 448, 64
MOST_TOKENS = 220
"""Of a script; Whisper stops at 224, the end among them."""

_LENGTH, _MARGIN = 3.0, 40.0


def tokenizer(language: str) -> Tokenizer:
    """Whisper's own, for what is said in a language."""
    from whisper.tokenizer import get_tokenizer

    return get_tokenizer(True, num_languages=N_LANGUAGES, language=language, task="transcribe")


def tokens_of(texts: Sequence[str], language: str, segment_s: float) -> list[int]:
    """What a model has to write: each text as a segment of so many seconds."""
    knows = tokenizer(language)
    tokens: list[int] = []
    for n, text in enumerate(texts):
        first, last = (knows.timestamp_begin + round(m * segment_s / 0.02) for m in (n, n + 1))
        tokens += [first, *knows.encode(text), last]
    return tokens


def write_scripted(path: Path, texts: Sequence[str], language: str, *, segment_s: float) -> None:
    """
    Write an openai-whisper checkpoint that hears these segments in every chunk of audio.

    Nothing in the decoder's blocks reaches its output, so what comes next depends on the
    position alone: the row of `positional_embedding` is the one of the token that is wanted.
    """
    import torch
    from whisper.model import ModelDimensions, Whisper

    tokens = tokens_of(texts, language, segment_s)
    assert len(tokens) <= MOST_TOKENS, f"{len(tokens)} tokens"
    knows = tokenizer(language)
    script = [knows.to_language_token(language), knows.transcribe, *tokens]
    script += [knows.eot] * (N_POSITIONS - len(script))
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(N_VOCABULARY, WIDTH, generator=draw)
    rows -= rows.mean(1, keepdim=True)
    rows *= _LENGTH / rows.norm(dim=1, keepdim=True)
    dims = ModelDimensions(
        80, 1500, WIDTH, 2, 2, N_VOCABULARY, N_POSITIONS, WIDTH, 2, 2
    )  # mels, then the encoder's and the decoder's context, width, heads and layers
    model = Whisper(dims)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights.normal_(0, weights[0].numel() ** -0.5, generator=draw)
        for block in model.decoder.blocks:
            for last in (block.attn.out, block.cross_attn.out, block.mlp[2]):
                last.weight.zero_()
                last.bias.zero_()
        model.decoder.token_embedding.weight.copy_(rows)
        model.decoder.positional_embedding.copy_(_MARGIN / _LENGTH * rows[script])
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"dims": vars(dims), "model_state_dict": model.state_dict()}, path)
