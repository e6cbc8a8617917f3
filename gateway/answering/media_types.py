"""The media type of stored audio, by its first bytes: file names are not reliable."""

from __future__ import annotations

UNKNOWN = "application/octet-stream"
N_BYTES_LOOKED_AT = 4096

_AUDIO_BRANDS = (b"M4A ", b"M4B ", b"M4P ", b"F4A ")
_BEGINNINGS = (
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"#!AMR", "audio/amr"),
    (b"caff", "audio/x-caf"),
    (b".snd", "audio/basic"),
    (b"wvpk", "audio/x-wavpack"),
    (b"riff", "audio/x-w64"),
    (b"FLV", "video/x-flv"),
    (b"\x0b\x77", "audio/ac3"),
    (b"\x00\x00\x01\xba", "video/mpeg"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-asf"),
)


def media_type_of(head: bytes) -> str:
    """
    The media type of a file.

    Args:
        head: Its first `N_BYTES_LOOKED_AT` bytes.

    >>> media_type_of(b"RIFF....WAVEfmt "), media_type_of(b"<html>")
    ('audio/wav', 'application/octet-stream')
    """
    for beginning, media_type in _BEGINNINGS:
        if head.startswith(beginning):
            return media_type
    if head[:4] in (b"RIFF", b"RF64", b"FORM"):
        kinds = {b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
        return kinds.get(head[8:12], "audio/aiff" if head[:4] == b"FORM" else UNKNOWN)
    if head[:4] == b"OggS":
        return "video/ogg" if b"theora" in head else "audio/ogg"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide"):
        return _of_mp4(head)
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _of_matroska(head)
    return _of_frames(head)


def _of_mp4(head: bytes) -> str:
    brand = head[8:12] if head[4:8] == b"ftyp" else b"qt  "
    if brand in _AUDIO_BRANDS:
        return "audio/mp4"
    return "video/quicktime" if brand == b"qt  " else "video/mp4"


def _of_matroska(head: bytes) -> str:
    kind = "audio" if b"V_" not in head else "video"
    return f"{kind}/webm" if b"webm" in head[:64] else f"{kind}/x-matroska"


def _of_frames(head: bytes) -> str:
    """Formats without a file header: a frame of MPEG audio begins with eleven set bits."""
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return "audio/aac" if head[1] & 0x06 == 0 else "audio/mpeg"
    return "video/mp2t" if head[:1] == b"\x47" and head[188:189] in (b"\x47", b"") else UNKNOWN
