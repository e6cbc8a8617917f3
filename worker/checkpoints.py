"""What a job has done so far, so that another worker need not do it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from worker.engines.base import Decoding, Guess
from worker.speech import Speech


@dataclass(frozen=True)
class Plan:
    """
    How a job was cut into chunks, and for which model; what is kept holds for this plan only.

    Attributes:
        model: Name, revision and engine.
        guess: The language of the whole.
    """

    model: tuple[str, str, str]
    speech: Speech
    guess: Guess


class Checkpoint(Protocol):
    """Where one job keeps the chunks it has done, with times of the whole audio."""

    def recall(self, model: tuple[str, str, str]) -> tuple[Plan, Mapping[int, Decoding]] | None:
        """What an earlier attempt did with the same model; None if there is nothing."""
        ...

    def begin(self, plan: Plan) -> None:
        """Keep chunks of this plan from now on, and forget any other's."""
        ...

    def keep(self, index: int, decoding: Decoding) -> None:
        """Keep a chunk that is done."""
        ...


class NoCheckpoint:
    """For who runs the pipeline once and without a queue: nothing is kept."""

    def recall(self, model: tuple[str, str, str]) -> tuple[Plan, Mapping[int, Decoding]] | None:
        """See `Checkpoint.recall`."""
        return None

    def begin(self, plan: Plan) -> None:
        """See `Checkpoint.begin`."""

    def keep(self, index: int, decoding: Decoding) -> None:
        """See `Checkpoint.keep`."""
