"""Settings of the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from gateway.access.keys import check_rate
from gateway.access.names import read_names
from gateway.access.origins import ANY_ORIGIN, read_origins
from gateway.outward.settings import OutwardSettings
from shared.chinese import Variant
from shared.settings import BASE_NAMES

OTHER_VARIABLES = {
    "BACKEND_URL": "workers fetch their jobs from Redis; point LONGHAND_REDIS_URL of gateway and "
    "workers at the same one",
    "PORT_WHISPERLIVE": "live audio on a port of its own does not exist yet",
}
"""Variables of the older systems that we do not have, and what to do instead."""


class GatewaySettings(OutwardSettings):
    """Read from `LONGHAND_…` variables; built once in `__main__` and handed on."""

    older_names: ClassVar[Mapping[str, str]] = {**BASE_NAMES, "HTTP_PORT": "port"}

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
        description="Streams, and waits for a change of a job, that may hold a thread at once; "
        "waits for a job's end hold none.",
    )
    default_wait_s: float = Field(
        0.0,
        ge=0.0,
        le=86_400.0,
        description="Seconds a request waits for its job when it does not say; 0 answers at once.",
    )
    max_wait_s: float = Field(
        14_400.0,
        ge=1.0,
        le=86_400.0,
        description="Seconds a request may wait for its job at most; what `wait=true` means, and "
        "how long nginx lets a request be silent.",
    )
    max_audio_bytes: int = Field(
        500_000_000,
        ge=1,
        description="Largest upload taken, in bytes; a proxy in front needs more.",
    )
    max_audio_s: float = Field(
        0.0, ge=0.0, description="Longest audio taken, in seconds; 0 takes any length."
    )
    max_queued: int = Field(
        10_000,
        ge=1,
        description="Jobs that may wait; while there are more, requests for new ones get 503.",
    )
    abandon_after_s: float = Field(
        60.0,
        ge=0.0,
        le=86_400.0,
        description="Seconds a job goes on after its caller disconnected without knowing its id.",
    )
    cache_scope: Literal["owner", "site"] = Field(
        "owner",
        description="Whose equal requests share one run and its result: those of one `owner`, or "
        "of the whole `site`.",
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
    strict_models: bool = Field(
        False,
        description="Whether OpenAI's routes refuse a model that is not known, or not here; "
        "`false` takes the default model instead, and says so.",
    )
    default_chinese: Variant = Field(
        "none", description="Script of Chinese for a request that names none; `none` leaves it."
    )
    probe_timeout_s: float = Field(
        60.0,
        ge=1.0,
        le=3600.0,
        description="Seconds that the check of an upload may take.",
    )
    probe_memory_bytes: int = Field(
        1_000_000_000,
        ge=300_000_000,
        description="Address space of the process that checks an upload, in bytes.",
    )
    probes_at_once: int = Field(
        4, ge=1, le=64, description="Uploads checked at one time; others wait their turn."
    )

    keep_audio_s: float = Field(
        0.0, ge=0.0, description="Seconds audio is kept after its job ended; 0 keeps it."
    )
    keep_results_s: float = Field(
        0.0,
        ge=0.0,
        description="Seconds a job that succeeded is kept after its end, all of it; 0 keeps it.",
    )
    keep_failed_s: float = Field(
        0.0,
        ge=0.0,
        description="Seconds a job that failed or was cancelled is kept after its end; 0 keeps it.",
    )
    sweep_every_s: float = Field(
        300.0,
        ge=1.0,
        le=86_400.0,
        description="Seconds from one removal of what is past its time to the next.",
    )
    trusted_proxies: str = Field(
        "",
        description="Networks of proxies whose `X-Remote-User` is believed, as `10.1.2.0/24,::1`; "
        "jobs of other callers are `local`'s.",
    )
    auth: Literal["off", "keys"] = Field(
        "off",
        description="Who may use the gateway: everybody who reaches it, or holders of `keys` and "
        "users whom a trusted proxy names.",
    )
    api_keys_file: Path = Field(
        Path("data/keys.json"), description="File of keys that `./longhand keys` writes."
    )
    admins: str = Field(
        "",
        description="Users, named by a trusted proxy, who are admins, with commas; keys have "
        "roles of their own.",
    )
    rate_limit: str = Field(
        "",
        description="Requests a caller may make, as `60/minute` or `10/second;1000/day`; a key may "
        "have a rate of its own, and empty sets no limit.",
    )
    server_names: str = Field(
        "",
        description="Host names, with commas, of a site that only its own machine reaches, as "
        "`voice.example.org`; `localhost` and addresses always work.",
    )
    cors_origins: str = Field(
        "",
        description="Origins of other sites whose pages may call, as `https://portal.example.org` "
        "or `app://obsidian.md`, with commas; `null` is that of pages opened as files, and `*` all "
        "of them, with `LONGHAND_AUTH=keys` alone.",
    )

    live_host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address `python -m gateway.live` listens on; `0.0.0.0` for all.",
    )
    live_port: int = Field(
        8500,
        ge=0,
        le=65535,
        description="Port `python -m gateway.live` listens on; 0 takes a free one.",
    )
    live_url: str = Field(
        "",
        pattern=r"^(https?://[^\s/?#]+)?$",
        description="Where callers reach `gateway.live`, as `http://host:8500`, for sites without "
        "a proxy that sends them there: `/events` of the gateway leads to it.",
    )
    live_max_listeners: int = Field(
        500,
        ge=1,
        le=100_000,
        description="Callers that may listen for events at once; each holds one open connection.",
    )
    live_max_per_owner: int = Field(
        100,
        ge=1,
        le=100_000,
        description="Listeners of one user, or of one key, at once; unknown callers have no such "
        "limit.",
    )
    sse_keepalive_s: float = Field(
        15.0,
        ge=0.1,
        le=3600.0,
        description="Seconds of silence after which a listener is sent a comment, so that no proxy "
        "on the way gives up.",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        _parse_networks(value)
        return value

    @field_validator("rate_limit")
    @classmethod
    def _is_rate(cls, value: str) -> str:
        return check_rate(value) if value else value

    @field_validator("server_names")
    @classmethod
    def _are_names(cls, value: str) -> str:
        read_names(value)
        return value

    @cached_property
    def listed_names(self) -> frozenset[str]:
        """The site's names, as the operator lists them."""
        return read_names(self.server_names)

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: str) -> str:
        read_origins(value)
        return value

    @cached_property
    def listed_origins(self) -> tuple[str, ...]:
        """The origins of other sites whose pages may call."""
        return read_origins(self.cors_origins)

    @cached_property
    def admin_names(self) -> frozenset[str]:
        """The users who are admins."""
        return frozenset(part.strip() for part in self.admins.split(",") if part.strip())

    @cached_property
    def trusted_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks of proxies whose `X-Remote-User` is believed."""
        return _parse_networks(self.trusted_proxies)

    @model_validator(mode="after")
    def _fit_together(self) -> GatewaySettings:
        if self.waiting_slots >= self.threads:
            raise ValueError(
                f"LONGHAND_WAITING_SLOTS is {self.waiting_slots}; it must be less than "
                f"LONGHAND_THREADS ({self.threads}), or streams leave no thread for others"
            )
        if ANY_ORIGIN in self.listed_origins and self.auth != "keys":
            raise ValueError(
                "LONGHAND_CORS_ORIGINS is '*', which needs LONGHAND_AUTH=keys: without keys a page "
                "of any site could call as whoever opens it; list the origins by name, or use keys"
            )
        if self.default_wait_s > self.max_wait_s:
            raise ValueError(
                f"LONGHAND_DEFAULT_WAIT_S is {self.default_wait_s:g}; it must be at most "
                f"LONGHAND_MAX_WAIT_S ({self.max_wait_s:g})"
            )
        return self


def _parse_networks(value: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
