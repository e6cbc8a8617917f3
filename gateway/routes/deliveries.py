"""`/jobs/{job_id}/deliveries`: every try to send the message to a job's `callback_url`."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from gateway.access.auth import present_owner
from gateway.answering.answers import as_rfc3339
from gateway.answering.shapes.deliveries import DeliveriesAnswer, DeliveryTry
from gateway.openapi.documented import Answer, documented
from gateway.reading.fields import read_query
from gateway.routes.jobs import NoParameters
from gateway.services import services
from gateway.webhooks.due import DueMessages
from shared.errors import InvalidRequest, JobNotFound

blueprint = Blueprint("deliveries", __name__)


@blueprint.get("/jobs/<job_id>/deliveries")
@documented(
    tag="jobs",
    answers={200: Answer(DeliveriesAnswer)},
    errors=(InvalidRequest, JobNotFound),
)
def list_deliveries(job_id: str) -> Response:
    """List every try to send the webhook message of a job."""
    read_query(NoParameters)
    here = services()
    here.jobs.get(job_id, owner=present_owner())
    messages = DueMessages(here.redis)
    tries = [
        DeliveryTry(**dict(made) | {"at": as_rfc3339(made.at)}) for made in messages.log(job_id)
    ]
    next_at = as_rfc3339(messages.due_at(job_id))
    answer = DeliveriesAnswer(success=True, job_id=job_id, next_at=next_at, deliveries=tries)
    return jsonify(answer.value())
