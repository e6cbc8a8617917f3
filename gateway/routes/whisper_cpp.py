"""`POST /inference`, as whisper.cpp's server has it."""

from __future__ import annotations

from flask import Blueprint, Response

from gateway.answering.shapes import whisper_cpp as shapes
from gateway.openapi.documented import Answer, Body, documented
from gateway.reading.audio import AudioWriter
from gateway.reading.fields import Fields
from gateway.routes.legacy import FAILED, MADE, REFUSED
from gateway.services import services
from gateway.submission.options import JobOptions, receive_form
from gateway.waiting.synchronous import transcribe_now
from gateway.whisper_cpp.answers import answer_inference
from gateway.whisper_cpp.fields import KNOWN, InferenceFields, InferenceSubmission, read_inference
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

    def read(fields: Fields, filename: str) -> InferenceSubmission:
        return read_inference(here, fields, filename)

    def receive(writer: AudioWriter) -> InferenceSubmission:
        return receive_form(writer, read, is_known=KNOWN.__contains__)

    return transcribe_now(here, receive, answer_inference)
