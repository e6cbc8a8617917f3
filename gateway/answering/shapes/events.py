"""What those who listen to events may say."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class EventsQuery(BaseModel):
    """The query of those who listen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    last_event_id: str | None = Field(
        None,
        max_length=40,
        description="The id of the last event you were sent, to be told what came after it; the "
        "header `Last-Event-ID` says the same.",
    )
    token: str | None = Field(
        None, description="Your key, where a browser can send no header: EventSource and WebSocket."
    )
