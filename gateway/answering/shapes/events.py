"""The query of routes that stream events."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class EventsQuery(BaseModel):
    """The query of a caller who listens to events."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    last_event_id: str | None = Field(
        None,
        max_length=40,
        description="The id of the last event that you got; events after it are sent. The "
        "header `Last-Event-ID` means the same.",
    )
    token: str | None = Field(
        None,
        description="Your key, if no header can be sent: browsers cannot for EventSource and "
        "WebSocket.",
    )
