"""Bare samples get the header of a WAV file, so that they can be read like any other audio."""

from __future__ import annotations

import struct
from typing import Literal, NamedTuple

Kind = Literal["linear16", "mulaw", "alaw"]

_FORMATS: dict[Kind, tuple[int, int]] = {"linear16": (1, 2), "alaw": (6, 1), "mulaw": (7, 1)}
"""For each kind of samples, WAV's number for it and the bytes of one sample."""

_ENDLESS = 0xFFFFFFFF


class RawSamples(NamedTuple):
    """How bare samples are to be read; the samples of all channels take turns."""

    kind: Kind
    rate_hz: int
    n_channels: int = 1


def wave_header(samples: RawSamples) -> bytes:
    """The header of a WAV file of unknown length; the samples follow it."""
    tag, n_bytes = _FORMATS[samples.kind]
    block = n_bytes * samples.n_channels
    rate = samples.rate_hz
    form = struct.pack("<HHIIHH", tag, samples.n_channels, rate, rate * block, block, 8 * n_bytes)
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data"
    return b"RIFF" + struct.pack("<I", _ENDLESS) + chunks + struct.pack("<I", _ENDLESS)
