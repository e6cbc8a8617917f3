"""`/asr` and `/detect-language`, as whisper-asr-webservice and its clients have them."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, request

from gateway.answering.shapes import older as shapes
from gateway.older.answers import answer_asr, answer_language
from gateway.older.fields import (
    AsrFields,
    DetectFields,
    OlderFields,
    OlderSubmission,
    known_names,
    read_older,
)
from gateway.openapi.documented import Answer, documented
from gateway.reading.audio import AudioWriter
from gateway.reading.fields import Fields, parse_flag
from gateway.reading.raw_samples import RawSamples, wave_header
from gateway.routes.legacy import FAILED, MADE, REFUSED, TAG, older_body
from gateway.services import services
from gateway.submission.options import receive_form
from gateway.waiting.synchronous import Transcribed, transcribe_now
from shared.errors import InvalidRequest

blueprint = Blueprint("asr", __name__)

_FILE = "audio_file"
_BARE = RawSamples("linear16", 16_000)
_DETECTED = {"clip_timestamps": "0,30", "language": "", "beam_size": "1", "diarize": "false"}
"""Whisper detects the language by the first 30 s."""


@blueprint.post("/asr")
@documented(
    tag=TAG,
    body=older_body(AsrFields, file_field=_FILE),
    answers={
        200: Answer(
            shapes.OlderTranscript,
            media_types=(
                "text/plain", "application/json", "application/x-subrip", "text/vtt",
                "text/tab-separated-values",
            ),
            description="The transcript as `output` asks.",
            headers=MADE | {"Asr-Engine": "The engine that ran, as `faster_whisper`."},
        )
    },
    errors=(*REFUSED, *FAILED),
)  # fmt: skip
def run_asr() -> Response:
    """Transcribe a form's `audio_file`; the options stand in the query or in the form."""
    return _transcribe(AsrFields, {}, answer_asr)


@blueprint.post("/detect-language")
@documented(
    tag=TAG,
    body=older_body(DetectFields, file_field=_FILE),
    answers={200: Answer(shapes.DetectedLanguage, headers=MADE)},
    errors=(*REFUSED, *FAILED),
)
def detect_language() -> Response:
    """Tell which language is spoken in the first 30 s of a form's `audio_file`."""
    return _transcribe(DetectFields, _DETECTED, answer_language)


def _transcribe(
    kind: type[OlderFields], implied: dict[str, str], answer: Callable[[Transcribed], Response]
) -> Response:
    here = services()

    def read(fields: Fields, filename: str) -> OlderSubmission:
        encode = str(fields.get("encode") or "true")
        if "encode" not in request.args and not parse_flag("encode", encode):
            # It is known too late: the file may have come before, as if it had a header.
            raise InvalidRequest(
                "encode=false cannot be obeyed in the form; send encode in the query",
                param="encode",
            )
        return read_older(here, fields, filename, kind=kind, implied=implied)

    def receive(writer: AudioWriter) -> OlderSubmission:
        if not parse_flag("encode", request.args.get("encode", "true")):
            writer.write(wave_header(_BARE))
        is_known = known_names(kind).__contains__
        return receive_form(writer, read, file_field=_FILE, is_known=is_known)

    return transcribe_now(here, receive, answer)
