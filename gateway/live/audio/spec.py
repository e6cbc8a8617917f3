"""The form of the audio that a live caller sends."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import InvalidRequest

RATE_HZ = 16_000
LEAST_RATE_HZ, MOST_RATE_HZ = 4_000, 192_000
MOST_CHANNELS = 2

SAMPLE_BYTES = {"linear16": 2, "float32": 4, "uint8": 1, "mulaw": 1, "alaw": 1}
"""Bytes of one sample, for each encoding that may be cut at any byte."""

ENCODINGS = (*SAMPLE_BYTES, "opus")


@dataclass(frozen=True)
class AudioSpec:
    """
    The form of audio. The names of encodings are Deepgram's, for `encoding`.

    Attributes:
        encoding: `linear16` (little-endian), `float32`, `uint8`, `mulaw`, `alaw`, or `opus` (one
            packet for each write); None for a container, whose kind its first bytes tell.
        rate_hz: Samples a second of raw audio; a container and Opus have their own.
        n_channels: Channels of raw audio; their samples take turns.
    """

    encoding: str | None = "linear16"
    rate_hz: int = RATE_HZ
    n_channels: int = 1

    def check(self) -> None:
        """
        Check that this can be read.

        Raises:
            InvalidRequest: It cannot; `param` is the parameter as Deepgram names it.
        """
        if self.encoding is None:
            return
        if self.encoding not in ENCODINGS:
            raise InvalidRequest(
                f"encoding is {self.encoding[:50]!r}; it must be one of {', '.join(ENCODINGS)}",
                param="encoding",
            )
        if not LEAST_RATE_HZ <= self.rate_hz <= MOST_RATE_HZ:
            raise InvalidRequest(
                f"sample_rate is {self.rate_hz}; it must be {LEAST_RATE_HZ} to {MOST_RATE_HZ}",
                param="sample_rate",
            )
        if not 1 <= self.n_channels <= MOST_CHANNELS:
            raise InvalidRequest(
                f"channels is {self.n_channels}; it must be 1 or {MOST_CHANNELS}",
                param="channels",
            )
