"""What a job has done so far, so that another worker need not do it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from worker.decoding.lanes import Done
from worker.speech.search import Speech

LANES_APART = 1_000_000
"""Chunks are numbered in the order of time: those of the third lane from 2,000,000 on."""


@dataclass(frozen=True)
class Plan:
    """
    What of a recording is decoded, and by which model; what is kept holds for this plan only.

    Attributes:
        model: Name, revision and engine.
    """

    model: tuple[str, str, str]
    speech: Speech


class Checkpoint(Protocol):
    """Where one job keeps the chunks it has done."""

    def recall(
        self, model: tuple[str, str, str], channel: int = 0
    ) -> tuple[Plan, Mapping[int, Done]] | None:
        """
        What an earlier attempt did with the same model; None if there is nothing.

        Args:
            channel: Whose plan is meant, where each is transcribed by itself; chunks are of all.
        """
        ...

    def begin(self, plan: Plan, channel: int = 0) -> None:
        """Keep chunks of this plan from now on; that of channel 0 has any other's forgotten."""
        ...

    def keep(self, index: int, chunk: Done, next_index: int | None) -> None:
        """
        Keep a chunk that is done.

        Args:
            next_index: Of the chunk that follows in time, where it is not the next number.
        """
        ...


class NoCheckpoint:
    """For who runs the pipeline once and without a queue: nothing is kept."""

    def recall(
        self, model: tuple[str, str, str], channel: int = 0
    ) -> tuple[Plan, Mapping[int, Done]] | None:
        """See `Checkpoint.recall`."""
        return None

    def begin(self, plan: Plan, channel: int = 0) -> None:
        """See `Checkpoint.begin`."""

    def keep(self, index: int, chunk: Done, next_index: int | None) -> None:
        """See `Checkpoint.keep`."""
