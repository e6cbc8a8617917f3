"""How long a live session waits for certainty, and what it asks of the model."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from shared.live.request import Delay
from worker.engines.live_decoder import Hypothesis, LiveTask
from worker.engines.timed_words import TimedWord
from worker.live.guards import plain

_GOING_ON_S, _SURE = 0.15, 0.5
"""A last word that ended so shortly ago is shown only if it is so probable."""


@dataclass(frozen=True)
class Policy:
    """
    How long to wait for certainty.

    Attributes:
        step_s: New audio after which the buffer is decoded again.
        age_s: How long ago a word must have ended to be committed.
        last_age_s: The same for the last word, whose punctuation may still come.
        beam_size: Of hypotheses within an utterance.
    """

    step_s: float
    age_s: float
    last_age_s: float
    beam_size: int


POLICIES: dict[Delay, Policy] = {
    "low": Policy(0.3, 0.0, 0.8, 1),
    "normal": Policy(0.5, 0.0, 1.2, 1),
    "high": Policy(1.0, 1.0, 2.0, 5),
}


@dataclass(frozen=True)
class Heard:
    """A hypothesis, and its words with times from the start of the audio."""

    hypothesis: Hypothesis
    words: tuple[TimedWord, ...]


Asking = Generator[LiveTask, Heard, None]
"""Gives what the model has to decode, and is sent what it heard."""


def n_agreed(
    new: Sequence[TimedWord], previous: Sequence[str], duration_s: float, policy: Policy
) -> int:
    """
    How many words the hypothesis before had too, and are old enough.

    Args:
        new: Words after the committed ones, with times from the start of the audio.
        previous: Those of the hypothesis before; see `plain`.
        duration_s: Length of the audio.
    """
    for n, word in enumerate(new):
        age_s = duration_s - word.end
        needed_s = policy.last_age_s if n == len(new) - 1 else policy.age_s
        agrees = n < len(previous) and previous[n] == plain(word.word)
        if not agrees or age_s < needed_s:
            return n
    return len(new)


def steady(tail: Sequence[TimedWord], duration_s: float) -> Sequence[TimedWord]:
    """Words without a last one that is still being said, and likely to change."""
    if not tail or duration_s - tail[-1].end >= _GOING_ON_S or tail[-1].probability >= _SURE:
        return tail
    return tail[:-1]
