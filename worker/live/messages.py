"""What a worker's parent and its engine process say to each other about live sessions."""

from __future__ import annotations

from dataclasses import dataclass

from shared.live.updates import LiveUpdate


@dataclass(frozen=True)
class LiveFeed:
    """
    What has come for one session.

    Attributes:
        start: The sample of the session at which `pcm` begins.
        pcm: 16-bit little-endian samples, mono, 16 kHz.
        asks: What the caller asks, `flush` or `end`, and at which sample; in order.
    """

    session_id: str
    start: int
    pcm: bytes
    asks: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class LiveAnswer:
    """
    What one session says after a feed.

    Attributes:
        update: Its number is 0: the parent counts.
        state: What another engine process needs to go on, as JSON.
        position: The first sample that it needs too.
        n_steps: How often the model was asked.
    """

    session_id: str
    update: LiveUpdate
    state: str
    position: int
    n_steps: int = 0
