"""
The compact vocabulary the demo model is trained with.

Of Whisper's 51,865 tokens the phrase-book uses a few hundred. The others share
one row of the embedding while training; `export.expand` gives them their rows
back, so that any program that loads Whisper loads the result.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from whisper.tokenizer import Tokenizer, get_tokenizer

N_VOCABULARY = 51_865
N_TIMESTAMPS = 1_501
LANGUAGES = ("en", "zh")
FRAME_S = 0.02


def whisper_tokenizer() -> Tokenizer:
    """Whisper's multilingual tokenizer with 99 languages."""
    return get_tokenizer(True, num_languages=99, language="en", task="transcribe")


TOKENIZER = whisper_tokenizer()
LANGUAGE_TOKENS = {code: TOKENIZER.to_language_token(code) for code in LANGUAGES}


def encode(text: str, language: str) -> list[int]:
    """Whisper's tokens for one segment; English begins with a space, Chinese does not."""
    return TOKENIZER.encode((" " if language == "en" else "") + text)


@dataclass(frozen=True)
class Vocabulary:
    """
    Attributes:
        ids: Whisper's id of each compact row: text, then special tokens, then timestamps.
        n_text: How many rows, from the front, are text.
    """

    ids: tuple[int, ...]
    n_text: int

    @classmethod
    def of(cls, sentences: Iterable[tuple[str, str]]) -> Vocabulary:
        """Collect the tokens of `(text, language)` pairs and of all their beginnings."""
        text = {
            token
            for sentence, language in sentences
            for end in range(1, len(sentence) + 1)
            for token in encode(sentence[:end].rstrip(), language)
        }
        special = [
            TOKENIZER.eot,
            TOKENIZER.sot,
            *LANGUAGE_TOKENS.values(),
            TOKENIZER.transcribe,
            TOKENIZER.no_timestamps,
            TOKENIZER.sot_prev,
            TOKENIZER.no_speech,
        ]
        first = TOKENIZER.timestamp_begin
        return cls((*sorted(text), *special, *range(first, first + N_TIMESTAMPS)), len(text))

    @cached_property
    def rows(self) -> dict[int, int]:
        """Compact row of each of Whisper's ids that is used."""
        return {token: row for row, token in enumerate(self.ids)}

    @property
    def n_unused(self) -> int:
        """How many of Whisper's tokens share the one last row."""
        return N_VOCABULARY - len(self.ids)
