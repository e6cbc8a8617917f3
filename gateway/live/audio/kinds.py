"""Which container a stream is, by its first bytes."""

from __future__ import annotations

from shared.errors import UnsupportedMedia

SNIFFED_BYTES = 12

_KINDS = "wav, flac, ogg, webm, mp3, aac, or mp4 (m4a)"


def container_kind(first: bytes) -> str:
    """
    FFmpeg's name of a container.

    Args:
        first: The first twelve bytes of the stream.

    Raises:
        UnsupportedMedia: They are none of a container that we read.
    """
    if first[:4] == b"RIFF" and first[8:12] == b"WAVE":
        return "wav"
    if first[4:8] == b"ftyp":
        return "mov"
    for magic, kind in (
        (b"OggS", "ogg"), (b"\x1aE\xdf\xa3", "matroska"), (b"fLaC", "flac"), (b"ID3", "mp3"),
    ):  # fmt: skip
        if first.startswith(magic):
            return kind
    if len(first) > 1 and first[0] == 0xFF and first[1] & 0xE0 == 0xE0:
        # ISO 11172-3 and 13818-7: the same eleven bits begin a frame; layer 0 is AAC's.
        return "mp3" if first[1] & 0x06 else "aac"
    raise UnsupportedMedia(
        f"the audio begins with {first!r}, which is none of {_KINDS}; for raw audio, name its "
        "encoding and sample_rate"
    )
