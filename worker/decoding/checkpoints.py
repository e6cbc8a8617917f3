"""What a job has done so far, so that another worker can go on from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from worker.decoding.lanes import DecodedChunk
from worker.speech.detection import Speech

LANES_APART = 1_000_000
"""Chunks are numbered in the order of time: those of the third lane from 2,000,000 on."""


@dataclass(frozen=True)
class Plan:
    """
    What is decoded of a recording, and by which model. Chunks are kept for one plan only.

    Attributes:
        model: Name, revision and engine.
    """

    model: tuple[str, str, str]
    speech: Speech


class Checkpoint(Protocol):
    """Where one job keeps the chunks it has done."""

    def recall(
        self, model: tuple[str, str, str], channel: int = 0
    ) -> tuple[Plan, Mapping[int, DecodedChunk]] | None:
        """
        What an earlier attempt did with the same model; None if there is nothing.

        Args:
            channel: Whose plan to return if each channel is transcribed by itself. The chunks are
                those of all channels.
        """
        ...

    def begin(self, plan: Plan, channel: int = 0) -> None:
        """Keep chunks of this plan from now on. A plan of channel 0 replaces all others."""
        ...

    def keep(self, index: int, chunk: DecodedChunk, next_index: int | None) -> None:
        """
        Keep a chunk that is done.

        Args:
            next_index: The number of the chunk that follows in time; None for `index + 1`.
        """
        ...


class NoCheckpoint:
    """A checkpoint that keeps nothing, for a pipeline that runs without a queue."""

    def recall(
        self, model: tuple[str, str, str], channel: int = 0
    ) -> tuple[Plan, Mapping[int, DecodedChunk]] | None:
        """See `Checkpoint.recall`."""
        return None

    def begin(self, plan: Plan, channel: int = 0) -> None:
        """See `Checkpoint.begin`."""

    def keep(self, index: int, chunk: DecodedChunk, next_index: int | None) -> None:
        """See `Checkpoint.keep`."""
