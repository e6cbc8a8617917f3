"""`POST /inference`, as whisper.cpp's server has it."""

from __future__ import annotations

from flask import Blueprint, Response

from gateway.answering.shapes import whisper_cpp as shapes
from gateway.openapi.documented import Answer, Body, documented
from gateway.reading.forms import receive_form
from gateway.routes.legacy import FAILED, MADE, REFUSED
from gateway.services import services
from gateway.submission.options import JobOptions
from gateway.submission.submit import IncomingAudio, submit
from gateway.waiting.synchronous import answer_when_done
from gateway.whisper_cpp.answers import answer_inference
from gateway.whisper_cpp.fields import KNOWN, InferenceFields, read_inference
from shared.request import TranscriptionRequest

blueprint = Blueprint("whisper_cpp", __name__)


@blueprint.post("/inference")
@documented(
    tag="whisper.cpp",
    body=Body(
        models=(InferenceFields, TranscriptionRequest, JobOptions),
        files=("file",),
        allows_others=True,
    ),
    answers={
        200: Answer(
            shapes.Inference,
            media_types=(
                "application/json", "text/plain", "application/x-subrip", "text/vtt",
            ),
            description="The transcript as `response_format` asks.",
            headers=MADE,
        )
    },
    errors=(*REFUSED, *FAILED),
)  # fmt: skip
def run_inference() -> Response:
    """Transcribe a form's `file` as whisper.cpp's server does, and answer when it is done."""
    here = services()
    with IncomingAudio(here, field="file") as incoming:
        form = receive_form(incoming.writer, known=KNOWN)
        submission = read_inference(here, form.fields)
        record = submit(here, incoming, submission.meant, form.filename)
    return answer_when_done(here, record, submission, answer_inference)
