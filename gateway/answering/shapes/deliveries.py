"""The JSON of `/jobs/{job_id}/deliveries`."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from gateway.answering.shapes.base import ClosedShape, Succeeded

Outcome = Literal["delivered", "failed", "given_up"]


class DeliveryTry(ClosedShape):
    """One try to send the message of a job that ended."""

    webhook_id: str = Field(description="The message's id, the same at every try.")
    attempt: int = Field(description="Which try it was, from 1.")
    at: str = Field(description="When it began.")
    took_s: float = Field(description="How long it took, in seconds.")
    outcome: Outcome = Field(
        description="`delivered`, `failed` (it is tried again) or `given_up` (it is not)."
    )
    status_code: int | None = Field(description="The HTTP status of the receiver's answer.")
    error: str | None = Field(
        description="Why there is no answer, or why it does not count as success."
    )


class DeliveriesAnswer(Succeeded):
    """Every try to send the message to a job's `callback_url`."""

    model_config = ConfigDict(extra="forbid")

    job_id: str
    next_at: str | None = Field(description="When it is sent next, at the latest; null for never.")
    deliveries: list[DeliveryTry] = Field(description="Every try, the oldest first.")
