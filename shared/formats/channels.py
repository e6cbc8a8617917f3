"""Segments of channels that were transcribed each by itself, and may overlap."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shared.transcript import Segment, Transcript


def has_channels(transcript: Transcript) -> bool:
    """Whether each channel was transcribed by itself."""
    return bool(transcript.options.get("multichannel"))


def in_channels(
    transcript: Transcript, put_in_order: Callable[[Sequence[Segment]], Sequence[Segment]]
) -> list[Segment]:
    """
    All segments in the order of their beginnings.

    Args:
        put_in_order: Is given those that lie one after the other: of each channel by itself, as
            who speaks in one may go on while another speaks, or all of them.
    """
    if not has_channels(transcript):
        return list(put_in_order(transcript.segments))
    channels: dict[str | None, list[Segment]] = {}
    for segment in transcript.segments:
        channels.setdefault(segment.speaker, []).append(segment)
    placed = [segment for said in channels.values() for segment in put_in_order(said)]
    return sorted(placed, key=lambda segment: segment.start)
