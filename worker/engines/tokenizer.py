"""Whisper's tokenizers: the tokens of a prompt, and those that a model must not write."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from functools import cache, lru_cache
from typing import Protocol
from unicodedata import category

from shared.errors import EngineFailed
from worker.audio.constants import N_TIME_TOKENS
from worker.engines.base import DecodeOptions

WHISPERS_OWN = -1
"""In `suppress_tokens`: Whisper's own list of tokens that are not speech."""

_SPECIAL = re.compile(r"<\|.*?\|>", re.DOTALL)


class WhisperTokenizer(Protocol):
    """What the tokenizers of all engines have in common."""

    @property
    def eot(self) -> int:
        """The first token id that is not text."""
        ...

    @property
    def timestamp_begin(self) -> int:
        """The token id of the timestamp 0.00."""
        ...

    @property
    def non_speech_tokens(self) -> Sequence[int]:
        """Whisper's own list of tokens that are not speech."""
        ...

    def encode(self, text: str) -> list[int]:
        """The tokens of a text."""
        ...

    def decode(self, tokens: list[int]) -> str:
        """The text of text tokens."""
        ...


def prompt_tokens(tokenizer: WhisperTokenizer, options: DecodeOptions, n_context: int) -> list[int]:
    """
    The tokens before the text: hotwords, then the prompt, then the context.

    There is room for half of what the decoder holds. As in Whisper, only the end of prompt and
    context is kept if they are too long. Of hotwords, the beginning is kept: at most half of the
    room, unless there is nothing else.

    Args:
        n_context: How many tokens the model's decoder holds: 448 in all models of OpenAI.
    """
    room = n_context // 2 - 1
    before = [*_encoded(tokenizer, options.prompt), *options.context]
    hotwords = _encoded(tokenizer, options.hotwords)[: room // 2 if before else room]
    left = room - len(hotwords)
    return hotwords + before[-left:]


def _encoded(tokenizer: WhisperTokenizer, text: str | None) -> list[int]:
    # A text may spell a special token: one tokenizer makes it that token, another raises.
    plain = _SPECIAL.sub(" ", text or "").strip()
    return tokenizer.encode(" " + plain) if plain else []


def language_not_known(language: str, model: str) -> EngineFailed:
    """The error for a language that is newer than the model, such as Cantonese."""
    return EngineFailed(
        f"the model {model} does not know the language {language!r}; name another language or model"
    )


def patience(options: DecodeOptions) -> float:
    """
    How long beam search goes on: until `patience * beam_size` texts are done, at least one.

    >>> patience(DecodeOptions("en", beam_size=4, patience=0.1))
    0.25
    """
    return max(options.patience, 1 / options.beam_size)


class SuppressedTokens:
    """The tokens that a model must not write, as the request asks."""

    def __init__(self, tokenizer: WhisperTokenizer) -> None:
        self._tokenizer = tokenizer
        self.of = lru_cache(maxsize=32)(self._of)
        self._numerals = cache(self._find_numerals)

    def _of(self, asked: tuple[int, ...], numerals: bool) -> list[int]:
        """
        Token ids in rising order. Those for languages and tasks are always among them.

        Args:
            asked: `DecodeOptions.suppress_tokens`.
            numerals: `DecodeOptions.suppress_numerals`.
        """
        t = self._tokenizer
        n_vocabulary = t.timestamp_begin + N_TIME_TOKENS
        suppressed = {token for token in asked if 0 <= token < n_vocabulary}
        # Between the end of text and the timestamps lie languages, tasks and other marks. The end
        # itself and "no timestamps" are left to the engine's own rules.
        suppressed |= set(range(t.eot + 1, t.timestamp_begin - 1))
        if WHISPERS_OWN in asked:
            suppressed |= set(t.non_speech_tokens)
        if numerals:
            suppressed |= self._numerals()
        return sorted(suppressed)

    def _find_numerals(self) -> frozenset[int]:
        decode = self._tokenizer.decode
        return frozenset(t for t in range(self._tokenizer.eot) if has_numeral(decode([t])))


def has_numeral(text: str) -> bool:
    """
    Whether a text has a digit or a currency sign. A number as a word has neither.

    >>> [has_numeral(text) for text in ("3rd", "€", "４", "three", "三")]
    [True, True, True, False, False]
    """
    return any(c.isdigit() or category(c) == "Sc" for c in text)


def group_rows(keys: Sequence[Hashable]) -> list[list[int]]:
    """
    Group the rows of a batch by key: the rows of one group go through the model together.

    >>> group_rows("abca")
    [[0, 3], [1], [2]]
    """
    rows: dict[Hashable, list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    return list(rows.values())
