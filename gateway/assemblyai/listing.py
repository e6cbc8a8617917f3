"""Pages of transcripts, newest first, as AssemblyAI lists them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.answering.answers import as_rfc3339, error_of
from gateway.answering.listing import MOST_LISTED
from gateway.answering.shapes.assemblyai import PageDetails, TranscriptItem, TranscriptPage
from gateway.assemblyai.values import STATUSES, options_of
from gateway.services import Services
from shared.listing import JobQuery
from shared.records import JobRecord

PATH = "/v2/transcript"
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def _a_day(value: object) -> object:
    """Refuse what is not a day: pydantic would also take a number of seconds."""
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise ValueError(f"created_on is {value[:64]!r}; it must be a day such as 2026-11-30")
    return value


class TranscriptQuery(BaseModel):
    """Which transcripts are listed; all conditions hold together."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    limit: int = Field(10, ge=1, le=200, description="The most transcripts in a page.")
    status: Literal["queued", "processing", "completed", "error"] | None = Field(
        None, description="Only those with this status."
    )
    created_on: Annotated[date | None, BeforeValidator(_a_day)] = Field(
        None, description="Only those made on this day, in UTC: `2026-11-30`."
    )
    before_id: str | None = Field(None, description="Only those older than this transcript.")
    after_id: str | None = Field(None, description="Only those newer than this transcript.")

    def asked(self, here: Services, owner: str) -> JobQuery:
        """
        The query as `Jobs.list` takes it.

        Raises:
            JobNotFound: There is no transcript of an id in the query.
        """
        since = until = cursor = None
        if self.created_on:
            day = datetime.combine(self.created_on, datetime.min.time(), UTC)
            since, until = day.timestamp(), (day + timedelta(days=1)).timestamp()
        if self.before_id:
            before = here.jobs.get(self.before_id, owner=owner)
            cursor = f"{before.created_at!r}-{before.id}"
        if self.after_id:
            after = here.jobs.get(self.after_id, owner=owner).created_at
            since = after if since is None else max(since, after)
        statuses = tuple(ours for ours, theirs in STATUSES.items() if theirs == self.status)
        # Jobs come newest first: the page next to `after_id` is at the end of all newer jobs.
        limit = MOST_LISTED if self.after_id else self.limit
        return JobQuery(statuses=statuses, since=since, until=until, limit=limit, cursor=cursor)


def list_value(here: Services, owner: str, query: TranscriptQuery, site: str) -> dict[str, Any]:
    """
    A page of transcripts.

    Args:
        site: The URL of this site, as the caller wrote it.

    Raises:
        JobNotFound: There is no transcript of an id in the query.
    """
    page = here.jobs.list(owner, query.asked(here, owner))
    records = [record for record in page.records if record.id != query.after_id]
    has_older = page.next_cursor is not None or bool(query.after_id)
    records = records[-query.limit :] if query.after_id else records
    url = f"{site}{PATH}"
    asked = query.model_dump(mode="json", exclude_none=True, exclude={"before_id", "after_id"})

    def page_url(**place: str) -> str:
        return f"{url}?{urlencode(asked | place)}"

    named = query.model_dump(mode="json", exclude_none=True)
    details = PageDetails(
        limit=query.limit,
        result_count=len(records),
        current_url=f"{url}?{urlencode(named)}",
        prev_url=page_url(before_id=records[-1].id) if records and has_older else None,
        next_url=page_url(after_id=records[0].id) if records and query.before_id else None,
    )
    items = [_item(record, site) for record in records]
    return TranscriptPage(page_details=details, transcripts=items).value()


def _item(record: JobRecord, site: str) -> TranscriptItem:
    error, options = error_of(record), options_of(record)
    return TranscriptItem(
        id=record.id,
        resource_url=f"{site}{PATH}/{record.id}",
        status=STATUSES[record.status],
        created=as_rfc3339(record.created_at),
        completed=as_rfc3339(record.ended_at) if record.status.is_final else None,
        audio_url=options.audio_url if options else audio_url_of(record, site),
        error=error.message if error else None,
    )


def audio_url_of(record: JobRecord, site: str) -> str:
    """The URL of a job's audio, for a job that another route made."""
    return f"{site}/jobs/{record.id}/audio"
