"""Settings of what the gateway fetches and calls for its callers."""

from __future__ import annotations

from base64 import b64decode
from functools import cached_property
from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from gateway.outward.reachable import AllowedHosts
from gateway.reading.settings import ReadingSettings


class OutwardSettings(ReadingSettings):
    """The part of `GatewaySettings` about URLs that callers name."""

    download_timeout_s: float = Field(
        300.0,
        ge=1.0,
        le=86_400.0,
        description="Seconds that a download from a caller's URL may take.",
    )
    downloads_at_once: int = Field(
        8, ge=1, le=500, description="Downloads at the same time; further requests get 503."
    )
    allowed_hosts: str = Field(
        "",
        description="Hosts and networks that callers' URLs may name even if they are not "
        "public, such as `media.internal,10.2.0.0/16,files:8080`.",
    )
    ca_file: Path | None = Field(
        None,
        description="File of certificates (PEM) that are trusted for callers' URLs, besides "
        "the system's.",
    )
    webhook_secret: SecretStr | None = Field(
        None,
        description="Key that signs messages to `callback_url`: `whsec_` and base64. Without "
        "it no messages are sent.",
    )

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, value: str) -> str:
        AllowedHosts.parse(value)
        return value

    @cached_property
    def reachable_hosts(self) -> AllowedHosts:
        """The hosts that callers' URLs may name though they are not public."""
        return AllowedHosts.parse(self.allowed_hosts)

    @field_validator("webhook_secret")
    @classmethod
    def _signing_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        prefix, _, key = value.get_secret_value().partition("_")
        try:
            n_bytes = len(b64decode(key + "=" * (-len(key) % 4), validate=True))
        except ValueError:
            n_bytes = 0
        if prefix != "whsec" or not 24 <= n_bytes <= 64:
            raise ValueError("it must be `whsec_` and the base64 of 24 to 64 random bytes")
        return value
