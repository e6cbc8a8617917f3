"""What a diarization is asked and what it gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shared.transcript import SpeakerTurn, Warned
from worker.audio.source import AudioSource

LEAST_REFERENCE_S = 0.5
"""Seconds somebody has to speak in a reference for their voice to be known."""


@dataclass(frozen=True)
class KnownSpeaker:
    """A person whose voice is known, by a recording in which they speak, best 2 to 10 s long."""

    name: str
    audio: AudioSource


@dataclass(frozen=True)
class DiarizationOptions:
    """
    What a caller may ask of a diarization.

    Attributes:
        clustering_threshold: How far voices of one speaker may lie apart; None: as tuned.
        wants_embeddings: Whether a vector for each speaker's voice is to be given.
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
        turns: In time order; where people talk at once, turns of theirs overlap.
        exclusive_turns: The same with one speaker at a time, for putting speakers on words.
        embeddings: A vector for each speaker, where they were asked for and could be told.
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
        Find who speaks when.

        Speakers are `SPEAKER_00`, `SPEAKER_01` … in the order in which they appear, or
        go by the name of a known speaker with their voice.

        Args:
            report: Called now and then with the fraction that is done; may raise to stop.
        """
        ...


def one_at_a_time(turns: Sequence[SpeakerTurn]) -> tuple[SpeakerTurn, ...]:
    """Without the overlaps that come of closing short pauses in which another one speaks."""
    kept: list[SpeakerTurn] = []
    for turn in turns:
        end = kept[-1].end if kept else 0.0
        if turn.end > end:
            kept.append(turn.model_copy(update={"start": max(turn.start, end)}))
    return tuple(kept)


def count_warnings(n_found: int, options: DiarizationOptions) -> Iterator[Warned]:
    """Of a number of speakers that is not what was asked for."""
    low = options.num_speakers or options.min_speakers or 0
    high = options.num_speakers or options.max_speakers or math.inf
    if n_found and not low <= n_found <= high:
        asked = f"{low}" if low == high else f"{low or 1} to {high}"
        yield Warned(
            code="speaker_count_not_met",
            message=f"{n_found} speakers were found where {asked} were asked for; the audio may "
            f"be too short to tell more apart",
        )


def unusable_reference(name: str, seconds: float) -> Warned:
    """Of a known speaker whose recording has too little of their voice."""
    return Warned(
        code="known_speaker_unusable",
        message=f"the recording of {name!r} holds {seconds:.1f} s of speech, and "
        f"{LEAST_REFERENCE_S} s are needed; give 2 to 10 s of that voice alone",
    )
