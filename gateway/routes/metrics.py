"""`/metrics`, for Prometheus."""

from __future__ import annotations

from flask import Blueprint, Response

from gateway.metrics import CONTENT_TYPE
from gateway.openapi.documented import Answer, documented
from gateway.services import services

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
@documented(
    tag="Site",
    answers={200: Answer(media_types=("text/plain",), description="Prometheus's text format.")},
    access="admin",
)
def show_metrics() -> Response:
    """Give every metric of docs/metrics.md. It is 200 even while Redis is away."""
    return Response(services().metrics.text(), content_type=CONTENT_TYPE)
