"""Whisper's vocabulary as a `tokenizer.json`, for models that have none, such as checkpoints."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from worker.audio.constants import N_TIME_TOKENS

if TYPE_CHECKING:
    from tokenizers import Tokenizer as HubTokenizer
    from whisper.tokenizer import Tokenizer

TOKENIZER_FILE = "tokenizer.json"

SIZES = (51_864, 51_865, 51_866)
"""Number of tokens of English-only models, of other models, and of models since large-v3."""

_MULTILINGUAL_SIZE = SIZES[1]


def whisper_tokenizer(n_vocabulary: int) -> Tokenizer:
    """openai-whisper's tokenizer for models with so many tokens."""
    from whisper.tokenizer import get_tokenizer

    is_multilingual = n_vocabulary >= _MULTILINGUAL_SIZE
    # As openai-whisper counts them: there is one token for each language.
    n_languages = n_vocabulary - 51_765 - int(is_multilingual)
    return get_tokenizer(is_multilingual, num_languages=n_languages, language="en")


def make_tokenizer(n_vocabulary: int) -> HubTokenizer:
    """The same tokenizer in the form that engines of CTranslate2 read."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    ranks = dict(_ranks("multilingual" if n_vocabulary >= _MULTILINGUAL_SIZE else "gpt2"))
    letters = _letters()
    spelled = {token: "".join(letters[byte] for byte in token) for token in ranks}
    merges = []
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        if len(token) > 1:
            first, second = _merged_from(ranks, token, rank)
            merges.append((spelled[first], spelled[second]))
    model = models.BPE(vocab={spelled[token]: ranks[token] for token in ranks}, merges=merges)
    made = Tokenizer(model)
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = whisper_tokenizer(n_vocabulary).special_tokens
    named = sorted(special, key=special.__getitem__)
    made.add_special_tokens(list(named[:-N_TIME_TOKENS]))
    stamps = named[-N_TIME_TOKENS:]
    made.add_tokens([AddedToken(stamp, normalized=False, special=False) for stamp in stamps])
    return made


def _ranks(name: str) -> Iterator[tuple[bytes, int]]:
    """Yield the tokens in openai-whisper's own file, with their numbers."""
    import whisper

    path = Path(whisper.__file__).parent / "assets" / f"{name}.tiktoken"
    for line in path.read_text(encoding="ascii").splitlines():
        token, _, rank = line.partition(" ")
        yield base64.b64decode(token), int(rank)


def _merged_from(ranks: dict[bytes, int], token: bytes, rank: int) -> tuple[bytes, bytes]:
    """The two tokens that a token is merged from, by the merges of lower rank."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        joined = [(ranks.get(a + b, rank), i) for i, (a, b) in enumerate(pairwise(parts))]
        _, i = min(joined)
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    return parts[0], parts[1]


def _letters() -> list[str]:
    """The character that stands for each byte in a `tokenizer.json`: itself if it is printable."""
    printed = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), 256),
    ]
    others = (byte for byte in range(256) if byte not in printed)
    of = {byte: chr(byte) for byte in printed}
    of |= {byte: chr(256 + n) for n, byte in enumerate(others)}
    return [of[byte] for byte in range(256)]
