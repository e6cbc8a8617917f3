"""`/events`, `/jobs/{id}/events`: the gateway sends callers to gateway.live, which answers."""

from __future__ import annotations

from urllib.parse import quote

from flask import Blueprint, Response, jsonify, request

from gateway.answering.shapes.events import EventsQuery
from gateway.errors import ErrorAnswer
from gateway.openapi.documented import Answer, documented
from gateway.reading.fields import read_query
from gateway.services import services
from shared.errors import Busy, JobNotFound

blueprint = Blueprint("events", __name__)

_STREAM = Answer(
    media_types=("text/event-stream",),
    description="Events: `job` has the status of a job, `segments` what was recognised.",
)
_THERE = Answer(
    media_types=(),
    description="Where gateway.live is, on a site without a proxy that sends callers there.",
    headers={"Location": "The same path at gateway.live."},
)
_NOT_KNOWN = Answer(ErrorAnswer, description="The gateway does not know where gateway.live is.")
_HEADERS = {"Last-Event-ID": "The id of the last event you got: you are sent those after it."}


@blueprint.get("/jobs/<job_id>/events")
@documented(
    tag="Jobs",
    query=(EventsQuery,),
    answers={
        200: _STREAM,
        204: Answer(media_types=(), description="The job has ended, and you were sent its end."),
        307: _THERE,
        404: _NOT_KNOWN,
    },
    errors=(JobNotFound, Busy),
    headers=_HEADERS,
)
def follow_job(job_id: str) -> Response:
    """Stream the events of a job until it has ended, as server-sent events."""
    return _redirect()


@blueprint.get("/events")
@documented(
    tag="Jobs",
    query=(EventsQuery,),
    answers={
        200: _STREAM,
        307: _THERE,
        404: _NOT_KNOWN,
    },
    errors=(Busy,),
    headers=_HEADERS,
)
def follow_jobs() -> Response:
    """Stream the events of all your jobs, as server-sent events."""
    return _redirect()


def _redirect() -> Response:
    read_query(EventsQuery)
    url = services().settings.live_url
    if not url:
        refused = ErrorAnswer(
            success=False,
            error="events are sent by gateway.live; set LONGHAND_LIVE_URL to where callers reach "
            "it, or have a proxy send this path there",
            code="not_found",
        )
        answer = jsonify(refused.value())
        answer.status_code = 404
        return answer
    query = request.query_string.decode("latin-1")
    answer = Response(status=307)
    answer.headers["Location"] = f"{url}{quote(request.path)}{'?' if query else ''}{query}"
    answer.headers.pop("Content-Type", None)
    return answer
