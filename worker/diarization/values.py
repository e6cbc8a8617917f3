"""The options of a diarization, and its result."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shared.transcript import SpeakerTurn, Warned
from worker.audio.source import AudioSource


@dataclass(frozen=True)
class KnownSpeaker:
    """A person whose voice is known from a recording, best 2 to 10 s long."""

    name: str
    audio: AudioSource


@dataclass(frozen=True)
class DiarizationOptions:
    """
    How speakers are found.

    Attributes:
        clustering_threshold: The distance from which two voices are two speakers; None for the
            model's own.
        wants_embeddings: Whether to return an embedding of each speaker's voice.
    """

    num_speakers: int | None = None
    min_speakers: int | None = None
    max_speakers: int | None = None
    clustering_threshold: float | None = None
    wants_embeddings: bool = False
    known_speakers: tuple[KnownSpeaker, ...] = ()


@dataclass(frozen=True)
class Diarization:
    """
    Who speaks when.

    Attributes:
        turns: In time order. Where people talk at once, their turns overlap.
        exclusive_turns: The same with one speaker at a time, to assign words to speakers.
        embeddings: One for each speaker, if they were asked for and could be computed.
    """

    turns: tuple[SpeakerTurn, ...] = ()
    exclusive_turns: tuple[SpeakerTurn, ...] = ()
    embeddings: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    warnings: tuple[Warned, ...] = ()


class Diarizer(Protocol):
    """A loaded diarization model. For one call at a time."""

    def find_turns(
        self,
        audio: AudioSource,
        options: DiarizationOptions,
        report: Callable[[float], None] = lambda fraction: None,
    ) -> Diarization:
        """
        Find out who speaks when.

        Speakers are `SPEAKER_00`, `SPEAKER_01` … in the order in which they appear, or
        have the name of a known speaker.

        Args:
            report: Called now and then with the fraction that is done; may raise to stop.
        """
        ...


def one_at_a_time(turns: Sequence[SpeakerTurn]) -> tuple[SpeakerTurn, ...]:
    """Remove overlaps. They arise when a pause is closed in which somebody else speaks."""
    kept: list[SpeakerTurn] = []
    for turn in turns:
        end = kept[-1].end if kept else 0.0
        if turn.end > end:
            kept.append(turn.model_copy(update={"start": max(turn.start, end)}))
    return tuple(kept)


def count_warnings(n_found: int, options: DiarizationOptions) -> Iterator[Warned]:
    """Warn if the number of speakers is not what the request asked for."""
    low = options.num_speakers or options.min_speakers or 0
    high = options.num_speakers or options.max_speakers or math.inf
    if n_found and not low <= n_found <= high:
        asked = f"{low}" if low == high else f"{low or 1} to {high}"
        yield Warned(
            code="speaker_count_not_met",
            message=f"{n_found} speakers were found where {asked} were asked for; the audio may "
            f"be too short to tell more apart",
        )
