"""What `/health…` answers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.answering.shapes.jobs import WarningShown


class Live(BaseModel):
    """The process answers."""

    success: Literal[True]
    status: Literal["live"]
    message: Literal["OK"]


class StatusShown(BaseModel):
    """The process answers, and this is its version."""

    success: Literal[True]
    status: Literal["live"]
    version: str = Field(description="As `Longhand 0.1.0`.")


class Queue(BaseModel):
    """How many jobs there are of those that have not ended."""

    model_config = ConfigDict(extra="allow")

    queued: int
    running: int


class Health(BaseModel):
    """How the site is."""

    model_config = ConfigDict(extra="allow")

    success: Literal[True]
    status: Literal["healthy", "degraded"]
    service: str
    ready: bool = Field(description="Whether a job would be accepted.")
    starting: bool = Field(description="Whether no worker has come up yet, ever.")
    backend: str | None = Field(description="The engines of the workers that live.")
    faster_whisper: Literal["up", "down"] = Field(description="Whether a worker lives.")
    redis: Literal["connected", "unreachable"]
    storage: Literal["writable", "not writable"]
    workers: int = Field(description="Workers that live.")
    queue: Queue | None
    default_model: str | None = Field(description="The model of requests that name none.")
    default_model_usable: bool = Field(
        description="Whether a live worker has it, or may fetch it, and did not fail to load it."
    )
    problem: str | None = Field(description="Why it is degraded, and what to do.")
    warnings: list[WarningShown] = Field(description="Of every text by the default model.")
    message: Literal["OK"]


class NotReady(Health):
    """Why no job would be accepted now."""

    success: Literal[False]  # type: ignore[assignment]
    error: str | None
    code: Literal["not_ready"]


class ReadyOption(BaseModel):
    """What ready means."""

    workers: bool = Field(False, description="Whether a worker has to live, too.")
