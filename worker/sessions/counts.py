"""What a worker has done for live sessions, for its record."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class LiveCounts:
    """
    What was done so far.

    Attributes:
        n_calls: Calls of the engine process with audio. `n_steps` decodings were made in them.
        audio_s: Seconds of audio in these calls.
        lag_s: The most audio of one session that waited for its turn since `take_lag_s`.
    """

    n_sessions: int = 0
    n_calls: int = 0
    n_steps: int = 0
    audio_s: float = 0.0
    lag_s: float = 0.0

    def take_lag_s(self) -> float:
        """`lag_s`, which then begins anew."""
        found, self.lag_s = self.lag_s, 0.0
        return found
