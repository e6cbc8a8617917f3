"""Settings of the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from gateway.access.names import read_names
from gateway.access.origins import ANY_ORIGIN, read_origins
from gateway.outward.settings import OutwardSettings
from shared.chinese import Variant
from shared.settings import BASE_NAMES

OTHER_VARIABLES = {
    "BACKEND_URL": "workers fetch their jobs from Redis; point LONGHAND_REDIS_URL of gateway and "
    "workers at the same one",
}
"""Variables of the older systems that we do not have, and what to do instead."""


class GatewaySettings(OutwardSettings):
    """Read from `LONGHAND_…` variables; built once in `__main__` and handed on."""

    older_names: ClassVar[Mapping[str, str]] = {
        **BASE_NAMES,
        "HTTP_PORT": "port",
        "PORT_WHISPERLIVE": "whisperlive_port",
    }

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
        2000,
        ge=100,
        le=100_000,
        description="Connections open at the same time; further ones have to wait.",
    )
    waiting_slots: int = Field(
        24,
        ge=1,
        le=999,
        description="Threads that streams, and waits for a change of a job, may hold at the "
        "same time; a wait for a job's end holds none.",
    )
    default_wait_s: float = Field(
        0.0,
        ge=0.0,
        le=86_400.0,
        description="Seconds that a request without `wait` waits for its job; 0 answers "
        "immediately.",
    )
    max_wait_s: float = Field(
        14_400.0,
        ge=1.0,
        le=86_400.0,
        description="Most seconds that a request may wait for its job. `wait=true` waits this "
        "long, and nginx allows this much silence.",
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
        description="Seconds that a job goes on after its caller disconnected without knowing "
        "its id.",
    )
    cache_scope: Literal["owner", "site"] = Field(
        "owner",
        description="Whose equal requests share one run and its result: those of one `owner`, or "
        "of the whole `site`.",
    )
    strict_models: bool = Field(
        False,
        description="Whether OpenAI's routes refuse a model that is not known, or not here; "
        "`false` uses the default model instead, and the answer says so.",
    )
    default_chinese: Variant = Field(
        "none",
        description="Script of Chinese for requests that name none; `none` leaves text as it "
        "was recognised.",
    )

    keep_audio_s: float = Field(
        0.0,
        ge=0.0,
        description="Seconds that audio is kept after its job ended; 0 keeps it for ever.",
    )
    keep_results_s: float = Field(
        0.0,
        ge=0.0,
        description="Seconds that a job which succeeded is kept after its end, with audio and "
        "result; 0 keeps it for ever.",
    )
    keep_failed_s: float = Field(
        0.0,
        ge=0.0,
        description="Seconds that a job which failed or was cancelled is kept after its end; 0 "
        "keeps it for ever.",
    )
    sweep_every_s: float = Field(
        300.0,
        ge=1.0,
        le=86_400.0,
        description="Every so many seconds, audio and jobs that are too old are removed.",
    )
    trusted_proxies: str = Field(
        "",
        description="Networks of proxies whose `X-Remote-User` is believed, such as "
        "`10.1.2.0/24,::1`; jobs of other callers belong to `local`.",
    )
    server_names: str = Field(
        "",
        description="Host names, separated by commas, of a site that only its own machine can "
        "reach, such as `voice.example.org`; `localhost` and addresses always work.",
    )
    cors_origins: str = Field(
        "",
        description="Origins of other sites whose pages may call, separated by commas, such as "
        "`https://portal.example.org` or `app://obsidian.md`. `null` means pages opened as "
        "files. `*` means all origins, and needs `LONGHAND_AUTH=keys`.",
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
        description="Address at which callers reach `gateway.live`, such as "
        "`http://host:8500`. Needed if no proxy sends callers there; `/events` of the gateway "
        "leads to it.",
    )
    live_max_listeners: int = Field(
        500,
        ge=1,
        le=100_000,
        description="Callers that may listen for events at the same time; each holds one open "
        "connection.",
    )
    live_max_per_owner: int = Field(
        100,
        ge=1,
        le=100_000,
        description="Listeners of one user, or of one key, at the same time; unknown callers "
        "have no such limit.",
    )
    sse_keepalive_s: float = Field(
        15.0,
        ge=0.1,
        le=3600.0,
        description="Seconds of silence after which a listener gets a comment, which keeps "
        "proxies from closing the connection.",
    )

    whisperlive_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="A second port, for WhisperLive's clients, which expect 5050; 0 for none.",
    )
    wyoming_port: int = Field(
        0, ge=0, le=65535, description="Wyoming's port, as 10300; 0 for none."
    )
    wyoming_without_keys: bool = Field(
        False,
        description="Whether Wyoming, which has no passwords, is served to others than this "
        "machine though `LONGHAND_AUTH` is `keys`.",
    )
    live_max_sessions: int = Field(
        200, ge=0, le=10_000, description="Live sessions of the site at the same time."
    )
    live_sessions_per_owner: int = Field(
        20,
        ge=1,
        le=10_000,
        description="Live sessions of one user, or of one key, at the same time; unknown callers "
        "share one such limit.",
    )
    live_max_session_s: float = Field(
        14_400.0, ge=1.0, description="Seconds after which a live session is ended."
    )
    asr_pcm_input: bool = Field(
        False, description="Whether `pcm_input` (docs/live-asr.md) is true where it is left out."
    )
    live_idle_s: float = Field(
        60.0, ge=1.0, description="Seconds without audio, or a message, that end a live session."
    )
    live_resume_s: float = Field(
        30.0,
        ge=0.0,
        le=100.0,
        description="Seconds that a live session waits for its caller to connect again.",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        _parse_networks(value)
        return value

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
                "of any site could call as the person who opens it; list the origins, or use keys"
            )
        if self.default_wait_s > self.max_wait_s:
            raise ValueError(
                f"LONGHAND_DEFAULT_WAIT_S is {self.default_wait_s:g}; it must be at most "
                f"LONGHAND_MAX_WAIT_S ({self.max_wait_s:g})"
            )
        return self


def _parse_networks(value: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
