"""`POST /v1/listen`: recordings, as Deepgram's clients send them."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, Field

from gateway.answering.ignored import name_ignored
from gateway.answering.shapes import deepgram as shapes
from gateway.deepgram.answers import answer_listened
from gateway.deepgram.options import ListenOptions
from gateway.deepgram.reading import read_listen, receive_recording
from gateway.deepgram.values import request_id_of
from gateway.openapi.documented import Answer, Body, documented
from gateway.routes.legacy import FAILED, MADE, REFUSED
from gateway.services import services
from gateway.submission.options import JobOptions
from gateway.submission.submit import IncomingAudio, submit
from gateway.waiting.disconnects import note_id_known
from gateway.waiting.synchronous import answer_when_done
from shared import errors
from shared.request import TranscriptionRequest

blueprint = Blueprint("deepgram", __name__)


class RemoteRecording(BaseModel):
    """Where the audio is."""

    url: str = Field(description="An http or https URL of the audio.")


@blueprint.post("/v1/listen")
@documented(
    tag="Deepgram",
    query=(TranscriptionRequest, JobOptions, ListenOptions),
    body=(
        Body(models=(RemoteRecording,), media_types=("application/json",), allows_others=True),
        Body(media_types=("application/octet-stream", "audio/*"), is_raw=True),
    ),
    answers={
        200: Answer(
            shapes.ListenAnswer,
            description="The transcript; with `callback`, only the id of the request.",
            headers=MADE | {"X-Longhand-Model": "The model that ran."},
        )
    },
    errors=(*REFUSED, *FAILED, errors.AudioUnreachable),
)
def listen() -> Response:
    """Transcribe a recording, which is the body or at a URL, as Deepgram does."""
    here = services()
    submission = read_listen(here)
    is_url = request.mimetype == "application/json"
    with IncomingAudio(here, field="url" if is_url else None) as incoming:
        filename = receive_recording(here, submission.fields, incoming.writer)
        record = submit(here, incoming, submission.meant, filename)
    if not submission.fields.callback:
        return answer_when_done(here, record, submission, answer_listened)
    note_id_known(here, record)
    answer = jsonify(shapes.ListenAccepted(request_id=request_id_of(record.id)).value())
    answer.headers["Location"] = f"/jobs/{record.id}"
    name_ignored(answer, submission.ignored)
    return answer
