"""Numbers and letters for speakers, as other services name them."""

from __future__ import annotations

from shared.transcript import Transcript

ANONYMOUS = "SPEAKER_"
"""The prefix of speakers' names that we gave."""


def speaker_numbers(transcript: Transcript) -> dict[str, int]:
    """The number of each speaker, from 0, in the order in which they are first heard."""
    heard = (
        who
        for segment in transcript.segments
        for who in (segment.speaker, *(word.speaker for word in segment.words or ()))
        if who is not None
    )
    return {who: n for n, who in enumerate(dict.fromkeys(heard))}


def letter(n: int) -> str:
    """
    The name of the nth speaker, from 0.

    >>> [letter(n) for n in (0, 25, 26, 51, 52)]
    ['A', 'Z', 'AA', 'AZ', 'BA']
    """
    before, own = divmod(n, 26)
    return (letter(before - 1) if before else "") + chr(ord("A") + own)
