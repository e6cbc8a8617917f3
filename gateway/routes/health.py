"""`/health…`: whether the site works, for people, probes and load balancers."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from gateway.answering.condition import find_condition
from gateway.answering.shapes.health import Health, Live, NotReady, ReadyOption, StatusShown
from gateway.openapi.document import version
from gateway.openapi.documented import Answer, documented
from gateway.reading.fields import read_query
from gateway.routes.legacy import TAG
from gateway.services import services
from shared.errors import InvalidRequest

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
@documented(tag="Site", answers={200: Answer(Health)}, access="open")
def show_health() -> Response:
    """Tell whether the site works. It is 200 as long as the gateway runs."""
    return jsonify(find_condition(services()).value())


@blueprint.get("/status")
@documented(tag=TAG, answers={200: Answer(StatusShown)}, access="open")
def show_version() -> Response:
    """Tell the version, by which Bazarr's test button recognises a whisper-asr-webservice."""
    return jsonify(
        StatusShown(success=True, status="live", version=f"Longhand {version()}").value()
    )


@blueprint.get("/health/live")
@documented(tag="Site", answers={200: Answer(Live)}, access="open")
def show_live() -> Response:
    """Answer 200: the process runs. Nothing else is checked."""
    return jsonify(Live(success=True, status="live", message="OK").value())


@blueprint.get("/health/ready")
@documented(
    tag="Site",
    query=(ReadyOption,),
    answers={200: Answer(Health), 503: Answer(NotReady)},
    errors=(InvalidRequest,),
    access="open",
)
def show_ready() -> Response:
    """Answer 200 if a job would be accepted; with `?workers=1` only if a worker is running, too."""
    needs_worker = read_query(ReadyOption).workers
    seen = find_condition(services())
    if seen.ready and (seen.workers > 0 or not needs_worker):
        return jsonify(seen.value())
    fields = dict(seen) | {"success": False}
    answer = jsonify(NotReady(**fields, error=seen.problem, code="not_ready").value())
    answer.status_code = 503
    return answer
