"""
Rules of decoding that CTranslate2 has and openai-whisper lacks, written for the latter.

The first two are `LogitFilter`s there, the last is a `SequenceRanker`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class RepetitionPenalty:
    """
    Makes tokens that are already in the text less likely.

    Args:
        penalty: A positive logit is divided by it, a negative one multiplied.
        n_before: How many tokens the prompt has; they do not count.
    """

    def __init__(self, penalty: float, n_before: int) -> None:
        self._penalty = penalty
        self._n_before = n_before

    def apply(self, logits: Tensor, tokens: Tensor) -> None:
        """Change (n_rows, n_vocab) logits in place; `tokens` are (n_rows, n_tokens)."""
        written = tokens[:, self._n_before :]
        found = logits.gather(1, written)
        lowered = (found / self._penalty).where(found > 0, found * self._penalty)
        logits.scatter_(1, written, lowered)


class NoRepeatedRun:
    """
    Forbids a token if it would repeat a run of `size` tokens.

    Args:
        n_before: How many tokens the prompt has; they do not count.
    """

    def __init__(self, size: int, n_before: int) -> None:
        self._size = size
        self._n_before = n_before

    def apply(self, logits: Tensor, tokens: Tensor) -> None:
        """Change (n_rows, n_vocab) logits in place; `tokens` are (n_rows, n_tokens)."""
        for row, written in enumerate(tokens[:, self._n_before :].tolist()):
            logits[row, forbidden(written, self._size)] = float("-inf")


def forbidden(written: Sequence[int], size: int) -> list[int]:
    """
    The tokens that would repeat a run of `size` tokens.

    >>> forbidden([1, 2, 3, 1, 2], size=3)
    [3]
    """
    n_known = size - 1
    last = list(written[len(written) - n_known :])
    starts = range(len(written) - n_known)
    return [written[i + n_known] for i in starts if list(written[i : i + n_known]) == last]


class LengthRanker:
    """
    Chooses the text with the best log probability, divided by a power of its length.

    Args:
        penalty: The power. 0 prefers short texts, 1 compares the means of the tokens.
    """

    def __init__(self, penalty: float) -> None:
        self._penalty = penalty

    def rank(self, tokens: list[list[Tensor]], sum_logprobs: list[list[float]]) -> list[int]:
        """The index of the best text of each chunk."""
        return [
            max(range(len(texts)), key=self._scores(texts, sums).__getitem__)
            for texts, sums in zip(tokens, sum_logprobs, strict=True)
        ]

    def _scores(self, texts: list[Tensor], sums: list[float]) -> list[float]:
        return [s / max(1, len(t)) ** self._penalty for t, s in zip(texts, sums, strict=True)]
