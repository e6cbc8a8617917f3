"""The query of routes that stream events."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class EventsQuery(BaseModel):
    """The query of a caller who listens to events."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    last_event_id: str | None = Field(
        None,
        max_length=40,
        description="The id of the last event you got: you are sent those after it. The header "
        "`Last-Event-ID` means the same.",
    )
    token: str | None = Field(
        None, description="Your key, if a browser can send no header: EventSource and WebSocket."
    )
