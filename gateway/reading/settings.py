"""Settings of what is received: uploads in parts, and the check of audio."""

from __future__ import annotations

from pydantic import Field

from gateway.access.settings import AccessSettings


class ReadingSettings(AccessSettings):
    """What the operator may set for uploads."""

    max_audio_bytes: int = Field(
        500_000_000,
        ge=1,
        description="Largest upload that is accepted, in bytes; a proxy in front must allow a "
        "little more.",
    )
    max_audio_s: float = Field(
        0.0, ge=0.0, description="Longest audio that is accepted, in seconds; 0 for no limit."
    )
    upload_ttl_s: int = Field(
        86_400,
        ge=60,
        le=2_592_000,
        description="Seconds after its last part that a resumable upload is kept.",
    )
    max_uploads: int = Field(
        100, ge=1, le=10_000, description="Resumable uploads one owner may have at a time."
    )
    probe_timeout_s: float = Field(
        60.0,
        ge=1.0,
        le=3600.0,
        description="Seconds that the check of an upload may take; it finds out whether that "
        "is audio.",
    )
    probe_memory_bytes: int = Field(
        1_000_000_000,
        ge=300_000_000,
        description="Address space of the process that checks an upload, in bytes.",
    )
    probes_at_once: int = Field(
        4, ge=1, le=64, description="Uploads that are checked at the same time; others wait."
    )
