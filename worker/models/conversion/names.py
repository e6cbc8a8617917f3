"""
The names of the same weight in CTranslate2, in openai-whisper and in transformers.

CTranslate2 joins matrices: query, key and value of self-attention are one matrix, key and value of
cross-attention another. Whisper's keys have no bias, and zeros stand in its place.
"""

from __future__ import annotations

from collections.abc import Iterator

SIDES = ("encoder", "decoder")

_OF_A_MODEL = (
    ("encoder/conv1/weight", "encoder.conv1.weight"),
    ("encoder/conv1/bias", "encoder.conv1.bias"),
    ("encoder/conv2/weight", "encoder.conv2.weight"),
    ("encoder/conv2/bias", "encoder.conv2.bias"),
    ("encoder/position_encodings/encodings", "encoder.positional_embedding"),
    ("encoder/layer_norm/gamma", "encoder.ln_post.weight"),
    ("encoder/layer_norm/beta", "encoder.ln_post.bias"),
    ("decoder/embeddings/weight", "decoder.token_embedding.weight"),
    ("decoder/position_encodings/encodings", "decoder.positional_embedding"),
    ("decoder/layer_norm/gamma", "decoder.ln.weight"),
    ("decoder/layer_norm/beta", "decoder.ln.bias"),
)
_OF_A_LAYER = (
    ("self_attention/layer_norm/gamma", "attn_ln.weight"),
    ("self_attention/layer_norm/beta", "attn_ln.bias"),
    ("self_attention/linear_1/weight", "attn.out.weight"),
    ("self_attention/linear_1/bias", "attn.out.bias"),
    ("ffn/linear_0/weight", "mlp.0.weight"),
    ("ffn/linear_0/bias", "mlp.0.bias"),
    ("ffn/linear_1/weight", "mlp.2.weight"),
    ("ffn/linear_1/bias", "mlp.2.bias"),
    ("ffn/layer_norm/gamma", "mlp_ln.weight"),
    ("ffn/layer_norm/beta", "mlp_ln.bias"),
)
_OF_A_DECODERS_LAYER = (
    ("attention/layer_norm/gamma", "cross_attn_ln.weight"),
    ("attention/layer_norm/beta", "cross_attn_ln.bias"),
    ("attention/linear_0/weight", "cross_attn.query.weight"),
    ("attention/linear_0/bias", "cross_attn.query.bias"),
    ("attention/linear_2/weight", "cross_attn.out.weight"),
    ("attention/linear_2/bias", "cross_attn.out.bias"),
)
_JOINED = (("self_attention/linear_0", "attn", ("query", "key", "value")),)
_JOINED_IN_DECODERS = (*_JOINED, ("attention/linear_1", "cross_attn", ("key", "value")))

_OF_TRANSFORMERS = (
    ("model.", ""),
    ("encoder.embed_positions.weight", "encoder.positional_embedding"),
    ("decoder.embed_positions.weight", "decoder.positional_embedding"),
    ("embed_tokens", "token_embedding"),
    ("encoder.layer_norm.", "encoder.ln_post."),
    ("decoder.layer_norm.", "decoder.ln."),
    (".layers.", ".blocks."),
    (".encoder_attn_layer_norm.", ".cross_attn_ln."),
    (".self_attn_layer_norm.", ".attn_ln."),
    (".final_layer_norm.", ".mlp_ln."),
    (".encoder_attn.", ".cross_attn."),
    (".self_attn.", ".attn."),
    (".q_proj.", ".query."),
    (".k_proj.", ".key."),
    (".v_proj.", ".value."),
    (".out_proj.", ".out."),
    (".fc1.", ".mlp.0."),
    (".fc2.", ".mlp.2."),
)


def of_transformers(name: str) -> str:
    """
    openai-whisper's name of a weight, from that of transformers.

    >>> of_transformers("model.decoder.layers.3.encoder_attn.q_proj.weight")
    'decoder.blocks.3.cross_attn.query.weight'
    """
    for theirs, ours in _OF_TRANSFORMERS:
        name = name.replace(theirs, ours)
    return name


def alike(n_layers: dict[str, int]) -> Iterator[tuple[str, str]]:
    """
    Yield the names of weights that are the same in both: CTranslate2's, then openai-whisper's.

    Args:
        n_layers: The number of layers of `encoder` and of `decoder`.
    """
    yield from _OF_A_MODEL
    for side in SIDES:
        pairs = _OF_A_LAYER + (_OF_A_DECODERS_LAYER if side == "decoder" else ())
        for n in range(n_layers[side]):
            for ours, theirs in pairs:
                yield f"{side}/layer_{n}/{ours}", f"{side}.blocks.{n}.{theirs}"


def joined(n_layers: dict[str, int]) -> Iterator[tuple[str, list[str]]]:
    """
    Yield CTranslate2's name of joined weights, and openai-whisper's names of their parts.

    The names end before `/weight` and before `.weight`.
    """
    for side in SIDES:
        for n in range(n_layers[side]):
            for ours, theirs, parts in _JOINED_IN_DECODERS if side == "decoder" else _JOINED:
                names = [f"{side}.blocks.{n}.{theirs}.{part}" for part in parts]
                yield f"{side}/layer_{n}/{ours}", names
