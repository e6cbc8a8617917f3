"""What a Whisper model is asked with: the tokens before its text, and those it may not write."""

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
"""Stands for Whisper's own list of tokens that are not speech."""


_SPECIAL = re.compile(r"<\|.*?\|>", re.DOTALL)


class WhisperTokenizer(Protocol):
    """What the tokenizers of all engines have in common."""

    @property
    def eot(self) -> int:
        """First id that is not text."""
        ...

    @property
    def timestamp_begin(self) -> int:
        """Id of the timestamp 0.00."""
        ...

    @property
    def non_speech_tokens(self) -> Sequence[int]:
        """Whisper's own list."""
        ...

    def encode(self, text: str) -> list[int]:
        """The tokens of a text."""
        ...

    def decode(self, tokens: list[int]) -> str:
        """The text of text tokens."""
        ...


def earlier_tokens(
    tokenizer: WhisperTokenizer, options: DecodeOptions, n_context: int
) -> list[int]:
    """
    What the model is told was said before: hotwords, the prompt, then what was really said.

    Whisper keeps the end of what is too long, of half its context. Hotwords lose their end
    instead, and leave the others half of the room.

    Args:
        n_context: Tokens the model's decoder holds, 448 in all of OpenAI's.
    """
    room = n_context // 2 - 1
    before = [*_encoded(tokenizer, options.prompt), *options.context]
    hotwords = _encoded(tokenizer, options.hotwords)[: room // 2 if before else room]
    left = room - len(hotwords)
    return hotwords + before[-left:]


def _encoded(tokenizer: WhisperTokenizer, text: str | None) -> list[int]:
    # One tokenizer makes a special token of text that spells it, another raises.
    plain = _SPECIAL.sub(" ", text or "").strip()
    return tokenizer.encode(" " + plain) if plain else []


def language_not_known(language: str, model: str) -> EngineFailed:
    """The error of a language that was added to Whisper after a model was made, as Cantonese."""
    return EngineFailed(
        f"the model {model} does not know the language {language!r}; name another language or model"
    )


def patience(options: DecodeOptions) -> float:
    """
    For how many finished texts, in beams, a search goes on: at least for one.

    >>> patience(DecodeOptions("en", beam_size=4, patience=0.1))
    0.25
    """
    return max(options.patience, 1 / options.beam_size)


class SuppressedTokens:
    """The tokens one model never writes, by what is asked."""

    def __init__(self, tokenizer: WhisperTokenizer) -> None:
        self._tokenizer = tokenizer
        self.of = lru_cache(maxsize=32)(self._of)
        self._numerals = cache(self._find_numerals)

    def _of(self, asked: tuple[int, ...], numerals: bool) -> list[int]:
        """
        Ids in rising order; those that steer the model are always among them.

        Args:
            asked: As `DecodeOptions.suppress_tokens`.
            numerals: As `DecodeOptions.suppress_numerals`.
        """
        t = self._tokenizer
        n_vocabulary = t.timestamp_begin + N_TIME_TOKENS
        suppressed = {token for token in asked if 0 <= token < n_vocabulary}
        # From the end of text to the timestamps: languages, tasks and marks. The end itself and
        # "no timestamps" are left to the engine's own rules.
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
    Whether there is a digit or a currency sign in it; numbers written out are neither.

    >>> [has_numeral(text) for text in ("3rd", "€", "４", "three", "三")]
    [True, True, True, False, False]
    """
    return any(c.isdigit() or category(c) == "Sc" for c in text)


def rows_alike(keys: Sequence[Hashable]) -> list[list[int]]:
    """
    Which rows go into one pass: those of one key.

    >>> rows_alike("abca")
    [[0, 3], [1], [2]]
    """
    rows: dict[Hashable, list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    return list(rows.values())
