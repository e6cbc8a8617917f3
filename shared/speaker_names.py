"""Gives speakers other names, which are in the request or come later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from shared.transcript import Segment, SpeakerTurn, Transcript, Word

T = TypeVar("T", Segment, Word, SpeakerTurn)


def rename_speakers(transcript: Transcript, names: Mapping[str, str]) -> Transcript:
    """
    Give speakers other names, in words, segments, turns and embeddings alike.

    Args:
        names: A name for each label. Labels that do not occur change nothing. If two labels get
            one name, the embedding of the first is kept.
    """
    if not names:
        return transcript
    embeddings = transcript.speaker_embeddings
    renamed: dict[str, tuple[float, ...]] = {}
    for speaker, vector in (embeddings or {}).items():
        renamed.setdefault(names.get(speaker, speaker), vector)
    change = {
        "segments": tuple(_renamed_segment(segment, names) for segment in transcript.segments),
        "turns": transcript.turns and tuple(_renamed(turn, names) for turn in transcript.turns),
        "speaker_embeddings": embeddings and renamed,
    }
    return transcript.model_copy(update=change)


def _renamed_segment(segment: Segment, names: Mapping[str, str]) -> Segment:
    words = segment.words and tuple(_renamed(word, names) for word in segment.words)
    return _renamed(segment.model_copy(update={"words": words}), names)


def _renamed(value: T, names: Mapping[str, str]) -> T:
    speaker = value.speaker
    if speaker is None or speaker not in names:
        return value
    return value.model_copy(update={"speaker": names[speaker]})
