"""Splits a transcript by its channels, if each channel was a speaker."""

from __future__ import annotations

from shared.records import JobRecord
from shared.transcript import Segment, Transcript, join_text


def channel_of(record: JobRecord, speaker: str | None) -> int | None:
    """
    The channel, from 0, of a speaker; None if the speaker is no channel.

    Args:
        speaker: The present name; see `JobRecord.speaker_names`.
    """
    named = {name: label for label, name in record.speaker_names.items()}
    label = named.get(speaker or "", speaker or "")
    number = label.removeprefix("SPEAKER_")
    return int(number) if number != label and number.isdigit() else None


def channels_of(record: JobRecord, tidied: Transcript) -> list[Transcript]:
    """A transcript for each channel, without speakers; the whole one if channels were mixed."""
    if not record.request.multichannel:
        return [tidied]
    found: dict[int, list[Segment]] = {}
    for segment in tidied.segments:
        found.setdefault(channel_of(record, segment.speaker) or 0, []).append(segment)
    return [_channel(tidied, found.get(n, [])) for n in range(max(found, default=0) + 1)]


def _channel(tidied: Transcript, segments: list[Segment]) -> Transcript:
    alone = tuple(
        segment.model_copy(
            update={
                "speaker": None,
                "words": segment.words
                and tuple(word.model_copy(update={"speaker": None}) for word in segment.words),
            }
        )
        for segment in segments
    )
    text = join_text(alone, tidied.language, task=tidied.task)
    return tidied.model_copy(update={"segments": alone, "text": text, "turns": None})
