"""The header of a WAV that arrives bit by bit; its sizes mean nothing, as it may be endless."""

from __future__ import annotations

import struct

from gateway.live.audio.spec import MOST_CHANNELS, AudioSpec
from shared.errors import AudioUnreadable

_MOST_HEADER_BYTES = 1 << 16
_EXTENSIBLE = 0xFFFE
_FORM_BYTES = 16

_ENCODINGS = {
    (1, 16): "linear16", (1, 8): "uint8", (3, 32): "float32", (6, 8): "alaw", (7, 8): "mulaw",
}  # fmt: skip
"""Our names, for RFC 2361's number of a format and the bits of a sample."""


def read_header(first: bytes) -> tuple[AudioSpec, int] | None:
    """
    Read the header of a WAV.

    Args:
        first: The stream so far, from its start.

    Returns:
        The form of the samples and the position of the first; None if the header is not all there
        yet. A form that FFmpeg has to read has no `encoding`.

    Raises:
        AudioUnreadable: The header is broken.
    """
    at, form = 12, b""
    while at + 8 <= len(first):
        name, n_bytes = first[at : at + 4], int.from_bytes(first[at + 4 : at + 8], "little")
        at += 8
        if name == b"data":
            return _form(form), at
        if at + n_bytes > _MOST_HEADER_BYTES:
            raise AudioUnreadable("the WAV is broken: no samples begin in its first 64 KiB")
        if name == b"fmt ":
            form = first[at : at + n_bytes]
        at += n_bytes + n_bytes % 2
    return None


def _form(form: bytes) -> AudioSpec:
    if len(form) < _FORM_BYTES:
        raise AudioUnreadable("the WAV is broken: its samples begin before their form is told")
    tag, n_channels, rate_hz, _rate, _block, n_bits = struct.unpack_from("<HHIIHH", form)
    if tag == _EXTENSIBLE and len(form) >= 26:
        # Its own number begins the identifier of the format.
        tag = int.from_bytes(form[24:26], "little")
    encoding = _ENCODINGS.get((tag, n_bits)) if n_channels <= MOST_CHANNELS else None
    return AudioSpec(encoding, rate_hz, n_channels)
