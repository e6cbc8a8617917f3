"""What the operator of a gateway may set."""

from __future__ import annotations

from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network

from pydantic import Field, field_validator, model_validator

from shared.chinese import Variant
from shared.settings import SharedSettings


class GatewaySettings(SharedSettings):
    """Read from `LONGHAND_…` variables; built once in `__main__` and handed on."""

    host: str = Field(
        "127.0.0.1", min_length=1, description="Address the gateway listens on; `0.0.0.0` for all."
    )
    port: int = Field(
        8499, ge=0, le=65535, description="Port the gateway listens on; 0 takes a free one."
    )
    threads: int = Field(
        64, ge=2, le=1000, description="Threads that answer requests, one for each in progress."
    )
    connection_limit: int = Field(
        2000, ge=100, le=100_000, description="Connections open at once; more have to wait."
    )
    waiting_slots: int = Field(
        24,
        ge=1,
        le=999,
        description="Requests that may hold a thread until their job ends; others get 202 at once.",
    )
    default_wait_s: float = Field(
        0.0,
        ge=0.0,
        le=86_400.0,
        description="Seconds a request waits for its job when it does not say; 0 answers at once.",
    )
    max_wait_s: float = Field(
        600.0,
        ge=1.0,
        le=86_400.0,
        description="Seconds a request may wait for its job at most; what `wait=true` means.",
    )
    max_audio_bytes: int = Field(
        500_000_000,
        ge=1,
        description="Largest upload taken, in bytes; a proxy in front needs more.",
    )
    max_audio_s: float = Field(
        0.0, ge=0.0, description="Longest audio taken, in seconds; 0 takes any length."
    )
    default_chinese: Variant = Field(
        "none", description="Script of Chinese for a request that names none; `none` leaves it."
    )
    probe_timeout_s: float = Field(
        60.0,
        ge=1.0,
        le=3600.0,
        description="Seconds within which an upload must prove to be audio.",
    )
    probe_memory_bytes: int = Field(
        1_000_000_000,
        ge=300_000_000,
        description="Address space of the process that looks whether an upload is audio, in bytes.",
    )
    probes_at_once: int = Field(
        4, ge=1, le=64, description="Uploads looked into at one time; others wait their turn."
    )

    trusted_proxies: str = Field(
        "",
        description="Networks of proxies whose `X-Remote-User` is believed, as `10.1.2.0/24,::1`; "
        "jobs of other callers are `local`'s.",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        _parse_networks(value)
        return value

    @cached_property
    def trusted_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks of proxies that say who a caller is."""
        return _parse_networks(self.trusted_proxies)

    @model_validator(mode="after")
    def _threads_left(self) -> GatewaySettings:
        if self.waiting_slots >= self.threads:
            raise ValueError(
                f"LONGHAND_WAITING_SLOTS is {self.waiting_slots}; it must be less than "
                f"LONGHAND_THREADS ({self.threads}), or waiting requests leave no thread for others"
            )
        if self.default_wait_s > self.max_wait_s:
            raise ValueError(
                f"LONGHAND_DEFAULT_WAIT_S is {self.default_wait_s:g}; it must be at most "
                f"LONGHAND_MAX_WAIT_S ({self.max_wait_s:g})"
            )
        return self


def _parse_networks(value: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
