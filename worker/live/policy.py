"""How long a live session waits for certainty, and what it asks of the model."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from shared.live.request import Delay
from worker.engines.live_decoder import Hypothesis, LiveTask
from worker.engines.timed_words import TimedWord


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
