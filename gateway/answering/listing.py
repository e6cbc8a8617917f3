"""Which jobs a caller wants to see, as the query says it."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, field_validator

from shared.listing import JobQuery
from shared.records import Status

MOST_LISTED = 1000


class ListQuery(BaseModel):
    """Which jobs are listed; all conditions hold together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: str | None = Field(
        None, description="One of these statuses, separated by commas: `queued,running`."
    )
    label: str | None = Field(None, description="Only jobs with this label.")
    search: str | None = Field(
        None, max_length=200, description="Text in the label, the filename or the id."
    )
    since: str | None = Field(
        None,
        description="Only jobs made at this time (RFC 3339) or later.",
        json_schema_extra={"format": "date-time"},
    )
    until: str | None = Field(
        None,
        description="Only jobs made before this time (RFC 3339).",
        json_schema_extra={"format": "date-time"},
    )
    cursor: str | None = Field(None, description="The `next_cursor` of the page before.")
    limit: int = Field(
        100,
        description="The most jobs in a page.",
        json_schema_extra={"minimum": 1, "maximum": MOST_LISTED},
    )

    @field_validator("limit", mode="before")
    @classmethod
    def _few(cls, value: object) -> object:
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        if not isinstance(number, int) or not 1 <= number <= MOST_LISTED:
            raise ValueError(
                f"limit is {str(value)[:64]!r}; it must be a whole number from 1 to {MOST_LISTED}"
            )
        return number

    @field_validator("status")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        for name in (value or "").split(","):
            if name.strip() not in (*Status, ""):
                raise ValueError(
                    f"status is {name.strip()[:64]!r}; it must be one of {', '.join(Status)}"
                )
        return value

    @field_validator("since", "until")
    @classmethod
    def _a_time(cls, value: str | None) -> str | None:
        if value is not None:
            _seconds(value)
        return value

    def asked(self) -> JobQuery:
        """The query as `Jobs.list` takes it."""
        names = [name.strip() for name in (self.status or "").split(",")]
        return JobQuery(
            statuses=tuple(Status(name) for name in names if name),
            label=self.label,
            search=self.search,
            since=None if self.since is None else _seconds(self.since),
            until=None if self.until is None else _seconds(self.until),
            limit=self.limit,
            cursor=self.cursor,
        )


def _seconds(value: str) -> float:
    """
    A time of RFC 3339 in seconds since the epoch.

    >>> _seconds("1970-01-01T01:00:00+01:00")
    0.0
    """
    # An unescaped `+` in a query arrives as a space.
    text = value.strip().replace(" ", "+") if "T" in value.upper() else value
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is not None:
            return time.timestamp()
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{value[:64]!r} is no time; write it as 2026-11-20T08:00:00Z, with its zone")
