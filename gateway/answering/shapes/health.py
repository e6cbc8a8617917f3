"""What `/health…` answers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SkipValidation

from gateway.answering.shapes.base import Succeeded, WarningShown


class Live(Succeeded):
    """The process answers."""

    status: Literal["live"]
    message: Literal["OK"]


class StatusShown(Succeeded):
    """The process answers, and this is its version."""

    status: Literal["live"]
    version: str = Field(description="Such as `Longhand 0.1.0`.")


class Queue(BaseModel):
    """How many jobs there are of those that have not ended."""

    model_config = ConfigDict(extra="allow")

    queued: int
    running: int


class Health(Succeeded):
    """Whether the site works, and what is wrong if it does not."""

    model_config = ConfigDict(extra="allow")

    status: Literal["healthy", "degraded"]
    service: Literal["longhand"]
    ready: bool = Field(description="Whether a job would be accepted.")
    starting: bool = Field(description="Whether no worker has ever run.")
    backend: str | None = Field(description="The engines of the workers that are running.")
    faster_whisper: Literal["up", "down"] = Field(description="Whether a worker is running.")
    redis: Literal["connected", "unreachable"]
    storage: Literal["writable", "not writable"]
    workers: int = Field(description="Workers that are running.")
    queue: Queue | None
    live_sessions_free: int = Field(
        description="Live sessions that running workers have room for; the site's own limit may "
        "be lower."
    )
    default_model: str | None = Field(description="The model of requests that name none.")
    default_model_usable: bool = Field(
        description="Whether a running worker has it or may fetch it, and could load it if it "
        "tried."
    )
    problem: str | None = Field(description="Why it is degraded, and what to do.")
    warnings: SkipValidation[list[WarningShown]] = Field(
        description="Warnings of every text by the default model."
    )
    message: Literal["OK"]


class NotReady(Health):
    """Why no job would be accepted now."""

    success: Literal[False]  # type: ignore[assignment]
    error: str | None
    code: Literal["not_ready"]


class ReadyOption(BaseModel):
    """When a site counts as ready."""

    workers: bool = Field(False, description="Whether a worker must be running too.")
